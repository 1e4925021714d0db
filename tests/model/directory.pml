/* SPDX-License-Identifier: MIT */
/*
 * How programs claim slots and attach ends, as in userspace/lib/format/directory.c: a
 * creator and another program, one of which may die at any step, and two slots that
 * were used before. A hash stands for its name here, and a name has two words.
 *
 * Defined from outside: NAME_A and NAME_B, the names that they want (1 and 2 are those
 * of the slots, which were left), and SIDE_B, 1 if the other one is a connector.
 *
 * Defined from outside, each breaks it: TWO_WRITES (the key changes at once, and the
 * name follows), NO_RECHECK (who claims does not look again for ends), NO_VALIDATION
 * (who attaches does not look again for the name), NO_STOP (claims for one name are
 * not seen by each other).
 */

#define SLOTS		2
#ifndef TRIES
#define TRIES		2
#endif
#ifndef NAME_A
#define NAME_A		3
#endif
#ifndef NAME_B
#define NAME_B		4
#endif
#ifndef SIDE_B
#define SIDE_B		0
#endif

#define FREE		0
#define CLAIMED		1
#define NAMED		2

#define NEVER		0
#define ATTACHING	1
#define ATTACHED	2
#define CLOSED		3

typedef slot_t {
	/* the key, one word */
	byte generation;
	byte state;
	byte hash;
	/* the name */
	byte word_generation[2];
	byte word[2];
	/* the ends: the creator's, then the connector's */
	byte epoch[2];
	byte end_state[2];
	byte purpose[2];
	byte purpose_epoch[2];
};

slot_t slots[SLOTS];
byte owned[2];			/* by program: its slot + 1, once it believes so */
bool ended[2];
bool dead[2];
byte deaths;

/* Ends of another name, and those that have not said theirs, don't count. */
#define is_in(s, side)	(slots[s].end_state[side] == ATTACHED && \
			 (before_state != NAMED || \
			  (slots[s].purpose_epoch[side] == slots[s].epoch[side] && \
			   slots[s].purpose[side] == before_hash)))

inline read_key(s)
{
	atomic {
		key_generation = slots[s].generation;
		key_state = slots[s].state;
		key_hash = slots[s].hash
	}
}

#ifdef TWO_WRITES
#define has_word(s, which, what) (slots[s].word[which] == what)
#else
#define has_word(s, which, what) (slots[s].word[which] == what && \
				  slots[s].word_generation[which] == key_generation)
#endif

inline is_named(s, what)
{
	named = false;
	read_key(s);
	if
	:: key_state == NAMED && key_hash == what ->
		named = has_word(s, 0, what);
		named = named && has_word(s, 1, what)
	:: else
	fi
}

/* From the claim of @claim_generation to what comes after. */
inline change_claim(s, new_state, new_hash, new_generation)
{
	atomic {
		changed = slots[s].generation == claim_generation && slots[s].state == CLAIMED;
		if
		:: changed ->
			slots[s].generation = new_generation;
			slots[s].state = new_state;
			slots[s].hash = new_hash
		:: else
		fi
	}
}

inline write_word(s, which, what)
{
	atomic {
		if
		:: slots[s].word_generation[which] <= claim_generation ->
			slots[s].word_generation[which] = claim_generation;
			slots[s].word[which] = what
		:: else
		fi
	}
}

/* @taken: another slot + 1 that has the name. */
inline stop_others(s, what)
{
	taken = 0;
#ifndef NO_STOP
	is_named(1 - s, what);
	if
	:: named -> taken = 2 - s
	:: !named && key_state == CLAIMED && key_hash == what ->
		atomic {
			if
			:: slots[1 - s].generation == key_generation &&
			   slots[1 - s].state == key_state ->
				slots[1 - s].generation = key_generation + 1;
				slots[1 - s].state = FREE;
				slots[1 - s].hash = 0
			:: else -> taken = SLOTS + 1	/* it has changed: try again */
			fi
		}
	:: else
	fi
#endif
}

inline finish_claim(s, what)
{
	stop_others(s, what);
	changed = false;
	if
	:: !taken ->
		write_word(s, 0, what);
		write_word(s, 1, what);
		change_claim(s, NAMED, what, claim_generation)
	:: else
	fi;
	if
	:: changed -> found = s + 1
	:: else -> change_claim(s, FREE, 0, claim_generation + 1)
	fi
}

inline claim_slot(s, what)
{
	read_key(s);
	before_state = key_state;
	before_hash = key_hash;
	claim_generation = key_generation;
	used = is_in(s, 0);
	used = used || is_in(s, 1);
	if
	:: used
	:: !used ->
		atomic {
			changed = slots[s].generation == claim_generation &&
				  slots[s].state == before_state;
			if
			:: changed ->
				claim_generation++;
				slots[s].generation = claim_generation;
				slots[s].hash = what;
#ifdef TWO_WRITES
				slots[s].state = NAMED
#else
				slots[s].state = CLAIMED
#endif
			:: else
			fi
		}
		if
		:: !changed
		:: changed ->
#if defined(TWO_WRITES)
			slots[s].word[0] = what;
			slots[s].word[1] = what;
			found = s + 1
#elif defined(NO_RECHECK)
			finish_claim(s, what)
#else
			used = is_in(s, 0);
			used = used || is_in(s, 1);
			if
			:: !used -> finish_claim(s, what)
			:: used && before_state != NAMED ->
				change_claim(s, FREE, 0, claim_generation + 1)
			:: used && before_state == NAMED ->
				change_claim(s, CLAIMED, before_hash, claim_generation + 1);
				if
				:: changed ->
					claim_generation++;
					finish_claim(s, before_hash)
				:: else
				fi;
				found = 0
			fi
#endif
		fi
	fi
}

/* Without locks, an end that is attaching can be taken by anybody. */
inline attach(s, side, what)
{
	atomic {
		epoch = slots[s].epoch[side];
		end_state = slots[s].end_state[side];
		purpose = (slots[s].purpose_epoch[side] == epoch -> slots[s].purpose[side] : 0)
	}
	if
	:: end_state == ATTACHED && purpose == what -> used = true
	:: end_state == ATTACHED && purpose != what ->
		is_named(s, what);
		used = !named
	:: else -> used = false
	fi;
	changed = false;
	if
	:: used
	:: !used ->
		atomic {
			if
			:: slots[s].epoch[side] == epoch && slots[s].end_state[side] == end_state ->
				epoch++;
				slots[s].epoch[side] = epoch;
				slots[s].end_state[side] = ATTACHING;
				changed = true
			:: else
			fi
		}
		if
		:: changed ->
			atomic {
				if
				:: slots[s].purpose_epoch[side] <= epoch ->
					slots[s].purpose_epoch[side] = epoch;
					slots[s].purpose[side] = what
				:: else
				fi
			}
			atomic {
				changed = slots[s].epoch[side] == epoch;
				if
				:: changed -> slots[s].end_state[side] = ATTACHED
				:: else
				fi
			}
		:: else
		fi
	fi
}

inline detach(s, side)
{
	atomic {
		if
		:: slots[s].epoch[side] == epoch -> slots[s].end_state[side] = CLOSED
		:: else
		fi
	}
}

proctype program(byte id; byte side; byte name)
{
	byte tries = 0, found, claim_generation, key_generation, key_state, key_hash;
	byte before_state, before_hash, epoch, end_state, purpose, taken;
	bool named, used, changed;

	{
		do
		:: tries == TRIES || owned[id] -> break
		:: else ->
			d_step {	/* what was found before makes no other state */
				tries++;
				found = 0; claim_generation = 0; key_generation = 0; key_state = 0;
				key_hash = 0; before_state = 0; before_hash = 0; epoch = 0;
				end_state = 0; purpose = 0; taken = 0;
				named = false; used = false; changed = false
			}
			is_named(0, name);
			if
			:: named -> found = 1
			:: else ->
				is_named(1, name);
				if
				:: named -> found = 2
				:: else
				fi
			fi;
			if
			:: !found && side == 0 ->
				if
				:: claim_slot(0, name)
				:: claim_slot(1, name)
				fi
			:: else
			fi;
			if
			:: found ->
				found--;
				attach(found, side, name);
				if
				:: changed ->
#ifndef NO_VALIDATION
					is_named(found, name);
#else
					named = true;
#endif
					if
					:: named -> owned[id] = found + 1
					:: else -> detach(found, side)
					fi
				:: else
				fi
			:: else
			fi
		od
	} unless {
		dead[id]
	}
	ended[id] = true
}

/* One of them dies, at any step, or none. */
active proctype death()
{
	byte who;

	select(who : 0 .. 2);
	atomic {
		if
		:: who < 2 && !ended[who] -> dead[who] = true; deaths++
		:: else
		fi
	}
}

init
{
	byte s, i;

	atomic {
		for (s : 0 .. SLOTS - 1) {
			slots[s].generation = 1;
			slots[s].state = NAMED;
			slots[s].hash = s + 1;
			slots[s].word[0] = s + 1;
			slots[s].word[1] = s + 1;
			slots[s].word_generation[0] = 1;
			slots[s].word_generation[1] = 1;
			slots[s].epoch[0] = 1;
			slots[s].epoch[1] = 1;
			slots[s].end_state[0] = CLOSED;
			slots[s].end_state[1] = CLOSED
		}
		run program(0, 0, NAME_A);
		run program(1, SIDE_B, NAME_B)
	}
	ended[0] && ended[1];

#define name_of(i)	(i == 0 -> NAME_A : NAME_B)
#define believes(i)	(owned[i] && !dead[i])
#define slot_of(i)	slots[owned[i] - 1]
	/* A slot has one name, and a name one slot. */
	assert(!believes(0) || !believes(1) || (owned[0] == owned[1]) == (NAME_A == NAME_B));
	/* An end has one program. */
	assert(!believes(0) || !believes(1) || NAME_A != NAME_B || SIDE_B);
	/* Both slots are not named the same. */
	assert(slots[0].state != NAMED || slots[1].state != NAMED ||
	       slots[0].word[0] != slots[1].word[0]);
	/* The name is whole, and that of who has the slot, unless somebody died amid a claim. */
	for (s : 0 .. SLOTS - 1) {
		if
		:: slots[s].state == NAMED ->
			assert(slots[s].word[0] == slots[s].hash && slots[s].word[1] == slots[s].hash)
		:: else -> assert(slots[s].state == FREE || deaths)
		fi
	}
	for (i : 0 .. 1) {
		if
		:: believes(i) && slot_of(i).state == NAMED -> assert(slot_of(i).hash == name_of(i))
		:: believes(i) && slot_of(i).state != NAMED -> assert(deaths)
		:: else
		fi
	}
}
