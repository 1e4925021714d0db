# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# bash completion for ivshmem(1)

_ivshmem() {
	local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
	local options=--help

	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		mapfile -t COMPREPLY < <(compgen -W 'list info top create read write format make rm send recv publish subscribe call answer
			bench notify wait serve peers qemu libvirt --help --version' -- "$word")
		return
	fi

	case $previous in
	--group | -g | --allow-group)
		mapfile -t COMPREPLY < <(compgen -g -- "$word")
		return
		;;
	--allow-user)
		mapfile -t COMPREPLY < <(compgen -u -- "$word")
		return
		;;
	--socket | --status-socket | --file)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return
		;;
	--size | -s | --mode | -m | --offset | -o | --length | -l | --id | --acpi-index | --numa-node | --count | -c | --timeout | -t | --vectors | \
		--max-peers | --max-peers-per-user | --shm | --label | --objects | --ring | --channel | --area | --topic | --service | --frame | --type | --history | --clients | --name | --time | --spin | --delay | -d)
		return
		;;
	esac

	case ${COMP_WORDS[1]} in
	list) options+=' --json' ;;
	info) options+=' --json --resource2' ;;
	top) options+=' --batch --count --delay --hide-idle --resource2' ;;
	create) options+=' --size --mode --group --exist-ok --preallocate --numa-node' ;;
	read) options+=' --offset --length --resource2' ;;
	write) options+=' --offset --resource2' ;;
	format) options+=' --label --objects --ring --channel --area --topic --service --force --resource2' ;;
	make) options+=' --channel --area --topic --service --resource2' ;;
	rm) options+=' --force --resource2' ;;
	send) options+=' --whole --timeout --create --connect --take-over --resource2' ;;
	recv) options+=' --whole --count --timeout --create --connect --take-over --resource2' ;;
	publish) options+=' --frame --whole --type --stamp --timeout --resource2' ;;
	subscribe) options+=' --count --history --latest --raw --whole --read-only --timeout --resource2' ;;
	call) options+=' --whole --timeout --resource2' ;;
	answer) options+=' --whole --count --clients --timeout --take-over --resource2' ;;
	bench) options+=' --serve --size --time --spin --name --timeout --take-over --resource2 --json' ;;
	notify) options+=' --count' ;;
	wait) options+=' --timeout --count' ;;
	serve)
		options+=' --socket --status-socket --size --vectors --hugepages --shm --file --numa-node --preallocate'
		options+=' --mode --group --max-peers --max-peers-per-user --allow-user --allow-group'
		;;
	peers) options+=' --socket --status-socket --json' ;;
	qemu) options+=' --size --numa-node --preallocate --id --acpi-index --master --root-port --chassis --doorbell --socket --vectors' ;;
	libvirt) options+=' --size --master --doorbell --socket --vectors' ;;
	esac

	if [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
	elif [[ ${COMP_WORDS[1]} != @(list|serve|peers) ]]; then
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "${word:-/dev/}")
	fi
}

complete -F _ivshmem ivshmem
