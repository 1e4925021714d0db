# SPDX-License-Identifier: MIT
#
# The calls that NAME of each page in section 3 lists, as CALL:PAGE, so that
# "man CALL" finds the page. Use: awk -f calls.awk PAGE.3.scd...

FNR == 1 {
	in_name = 0
	page = FILENAME
	gsub(/.*\/|\.3\.scd$/, "", page)
}

/^# / {
	in_name = $0 == "# NAME"
}

in_name {
	gsub(",", "")
	for (i = 1; i <= NF; i++)
		if ($i ~ /^ivshmem_[a-z0-9_]+$/ && $i != page)
			print $i ":" page
}
