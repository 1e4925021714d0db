/* SPDX-License-Identifier: MIT */
/*
 * How programs make objects and attach ends, as in userspace/lib/format/directory.c, blocks.c
 * and end.c: two programs, one of which may die at any step, two slots, and one block,
 * which each object needs. A name has two words. Nothing here is kept.
 *
 * Defined from outside: NAME_A and NAME_B, the names that the programs want. SIDE_B is 1
 * if the second one is a connector. In slot 0 is an object of the name 1, unless EMPTY is
 * defined; SLOT_COUNT 1 leaves slot 1 out. A program begins again up to TRIES times. With
 * BLOCKLESS objects need no block. With SWEEPER a third program makes room, and nobody dies.
 *
 * Defined from outside, each breaks it: NO_SECOND_LOOK (who has doomed a slot frees it without
 * another look for ends), NO_COUNT (the key's changes are not counted), NO_VALIDATION (who
 * has attached does not look at the slot again), NO_STOP (claims for one name are not seen by
 * each other), LATE_NAME (the name is written after the look at the others), NO_GENERATION
 * (a block says which slot has it, but not which generation), NO_RESTORE (who has attached to a
 * doomed slot leaves it so).
 */

#ifndef TRIES
#define TRIES		2
#endif
#ifndef SLOT_COUNT
#define SLOT_COUNT	2
#endif
#ifndef NAME_A
#define NAME_A		2
#endif
#ifndef NAME_B
#define NAME_B		3
#endif
#ifndef SIDE_B
#define SIDE_B		0
#endif

#define FREE		0
#define CLAIMED		1
#define NAMED		2
#define DOOMED		3

#define NEVER		0
#define ATTACHING	1
#define ATTACHED	2
#define CLOSED		3

typedef slot_t {
	/* the key, one word */
	byte state;
	byte count;
	byte generation;
	/* the name */
	byte word[2];
	byte word_generation[2];
	/* the ends: the creator's, then the connector's */
	byte epoch[2];
	byte end_state[2];
	byte purpose[2];
	byte purpose_epoch[2];
};

slot_t slots[2];
byte block_owner;		/* a slot + 1 */
byte block_generation;
byte owned[2];			/* by program: its slot + 1, once it believes so */
byte owned_generation[2];
bool ended[2];
bool dead[2];

/* Reads a slot's key. */
inline read_key(s)
{
	d_step {
		key_state = slots[s].state;
		key_count = slots[s].count;
		key_generation = slots[s].generation
	}
}

#ifdef NO_COUNT
#define is_key(s)	(slots[s].state == key_state && slots[s].generation == key_generation)
#define count_key(s)
#else
#define is_key(s)	(slots[s].state == key_state && slots[s].count == key_count && \
			 slots[s].generation == key_generation)
#define count_key(s)	slots[s].count++; key_count++
#endif

/* From the key as it was read. What was read is the new one then. */
inline change(s, new_state)
{
	d_step {
		changed = is_key(s);
		if
		:: changed ->
			count_key(s);
			slots[s].state = new_state;
			key_state = new_state
		:: else
		fi
	}
}

inline claim_key(s)
{
	d_step {
		changed = key_state == FREE && is_key(s);
		if
		:: changed ->
			count_key(s);
			slots[s].state = CLAIMED;
			slots[s].generation++;
			key_state = CLAIMED;
			key_generation++
		:: else
		fi
	}
}

/* By the key as it was read, which a claim has as soon as the name is whole. */
inline is_called(s, what)
{
	called = key_state != FREE && slots[s].word[0] == what &&
		 slots[s].word_generation[0] == key_generation;
	called = called && slots[s].word[1] == what &&
		 slots[s].word_generation[1] == key_generation
}

/* Ends of another object don't count. */
inline is_used(s)
{
	used = (slots[s].end_state[0] == ATTACHING || slots[s].end_state[0] == ATTACHED) &&
	       slots[s].purpose_epoch[0] == slots[s].epoch[0] &&
	       slots[s].purpose[0] == key_generation;
	used = used || ((slots[s].end_state[1] == ATTACHING || slots[s].end_state[1] == ATTACHED) &&
			slots[s].purpose_epoch[1] == slots[s].epoch[1] &&
			slots[s].purpose[1] == key_generation)
}

/* Of a slot that was read to be doomed. */
inline decide(s)
{
#ifdef NO_SECOND_LOOK
	used = false;
#else
	is_used(s);
#endif
	if
	:: used -> change(s, NAMED)
	:: else -> change(s, FREE)
	fi
}

inline free_if_unused(s)
{
	read_key(s);
	if
	:: key_state == NAMED ->
		is_used(s);
		if
		:: !used -> change(s, DOOMED)
		:: else
		fi
	:: else
	fi;
	if
	:: key_state == DOOMED -> decide(s)
	:: else
	fi
}

/* @called: there is such an object, of @key_generation. */
inline is_object(s, what)
{
	read_key(s);
	is_called(s, what);
	called = called && key_state >= NAMED;
	if
	:: called && key_state == DOOMED ->
		decide(s);
		called = slots[s].state >= NAMED && slots[s].generation == key_generation
	:: else
	fi
}

inline find(what)
{
	found = 0;
	is_object(0, what);
	if
	:: called -> found = 1
	:: !called && SLOT_COUNT > 1 ->
		is_object(1, what);
		if
		:: called -> found = 2
		:: else
		fi
	:: else
	fi
}

/* Whoever has claimed it may have died. */
inline free_claim(s)
{
	read_key(s);
	if
	:: key_state == CLAIMED -> change(s, FREE)
	:: else
	fi
}

inline make_room()
{
	free_if_unused(0);
	if
	:: SLOT_COUNT > 1 -> free_if_unused(1)
	:: else
	fi;
	if
	:: own != 0 -> free_claim(0)
	:: else
	fi;
	if
	:: own != 1 && SLOT_COUNT > 1 -> free_claim(1)
	:: else
	fi
}

#define has_claim	(slots[own].state == CLAIMED && slots[own].count == own_count && \
			 slots[own].generation == own_generation)
#ifdef NO_COUNT
#undef has_claim
#define has_claim	(slots[own].state == CLAIMED && slots[own].generation == own_generation)
#endif

inline write_word(which, what)
{
	d_step {
		if
		:: slots[own].word_generation[which] <= own_generation ->
			slots[own].word_generation[which] = own_generation;
			slots[own].word[which] = what
		:: else
		fi
	}
}

/* @lost: the object is found, or another claim has changed: begin again. */
inline stop_others(what)
{
#ifndef NO_STOP
	if
	:: SLOT_COUNT > 1 ->
		is_object(1 - own, what);
		if
		:: called -> lost = true
		:: else ->
			read_key(1 - own);
			is_called(1 - own, what);
			if
			:: called && key_state == CLAIMED ->
				change(1 - own, FREE);
				lost = !changed
			:: called && key_state != CLAIMED -> lost = true
			:: else
			fi
		fi
	:: else
	fi
#else
	skip
#endif
}

#ifdef NO_GENERATION
#define is_taken(owner, by)	(owner && slots[owner - 1].state != FREE && \
				 owner != own + 1)
#else
#define is_taken(owner, by)	(owner && slots[owner - 1].state != FREE && \
				 slots[owner - 1].generation == by)
#endif

/* The look at the owner comes between the look at the word and its change. */
inline take_block()
{
	d_step {
		owner = block_owner;
		by = block_generation
	}
	lost = is_taken(owner, by);
	d_step {
		if
		:: !lost && block_owner == owner && block_generation == by ->
			block_owner = own + 1;
			block_generation = own_generation
		:: else -> lost = true
		fi
	}
}

inline name_own(state_then)
{
	d_step {
		changed = has_claim;
		if
		:: changed ->
			slots[own].state = state_then;
#ifndef NO_COUNT
			slots[own].count++
#endif
		:: else
		fi
	}
}

inline fill(what)
{
	lost = false;
#ifdef LATE_NAME
	stop_others(what);
	write_word(0, what);
	write_word(1, what);
#else
	write_word(0, what);
	write_word(1, what);
	stop_others(what);
#endif
	if
	:: !lost ->
#ifdef BLOCKLESS
		skip
#else
		take_block();
		if
		:: lost -> make_room()
		:: else
		fi
#endif
	:: else
	fi;
	if
	:: !lost -> name_own(NAMED)
	:: else -> changed = false
	fi;
	if
	:: !changed -> name_own(FREE)
	:: else -> found = own + 1; key_generation = own_generation
	fi
}

inline make(what)
{
	if
	:: slots[0].state == FREE -> own = 0
	:: slots[0].state != FREE && SLOT_COUNT > 1 -> own = 1
	:: else -> own = 0
	fi;
	read_key(own);
	if
	:: key_state != FREE -> own = 2; make_room()
	:: else ->
		claim_key(own);
		if
		:: changed ->
			own_generation = key_generation;
			own_count = key_count;
			fill(what)
		:: else
		fi
	fi
}

/* Without locks, an end that is attaching can be taken by anybody. */
inline attach(s, side)
{
	d_step {
		epoch = slots[s].epoch[side];
		end_state = slots[s].end_state[side];
		used = end_state == ATTACHED && slots[s].purpose_epoch[side] == epoch &&
		       slots[s].purpose[side] == its_generation
	}
	if
	:: end_state == ATTACHED && !used ->
		used = !(slots[s].state >= NAMED && slots[s].generation == its_generation)
	:: else
	fi;
	d_step {
		changed = !used && slots[s].epoch[side] == epoch &&
			  slots[s].end_state[side] == end_state;
		if
		:: changed ->
			epoch++;
			slots[s].epoch[side] = epoch;
			slots[s].end_state[side] = ATTACHING
		:: else
		fi
	}
	if
	:: changed ->
		d_step {
			if
			:: slots[s].purpose_epoch[side] <= epoch ->
				slots[s].purpose_epoch[side] = epoch;
				slots[s].purpose[side] = its_generation
			:: else
			fi
		}
		d_step {
			changed = slots[s].epoch[side] == epoch;
			if
			:: changed -> slots[s].end_state[side] = ATTACHED
			:: else
			fi
		}
	:: else
	fi
}

/* @kept: the slot has the object still. */
inline keep(s)
{
#ifdef NO_VALIDATION
	kept = true;
#else
	read_key(s);
	kept = key_generation == its_generation && key_state >= NAMED;
#ifndef NO_RESTORE
	if
	:: kept && key_state == DOOMED ->
		change(s, NAMED);
		kept = changed
	:: else
	fi
#endif
#endif
}

inline detach(s, side)
{
	d_step {
		if
		:: slots[s].epoch[side] == epoch -> slots[s].end_state[side] = CLOSED
		:: else
		fi
	}
}

proctype program(byte id; byte side; byte name)
{
	byte tries = 0, found, own, own_generation, own_count, its_generation;
	byte key_state, key_count, key_generation, epoch, end_state, owner, by;
	bool called, used, changed, lost, kept;

	{
		do
		:: tries == TRIES || owned[id] -> break
		:: else ->
			d_step {	/* what was found before makes no other state */
				tries++;
				found = 0; own = 2; own_generation = 0; own_count = 0;
				its_generation = 0; key_state = 0; key_count = 0;
				key_generation = 0; epoch = 0; end_state = 0; owner = 0; by = 0;
				called = false; used = false; changed = false; lost = false;
				kept = false
			}
			find(name);
			if
			:: !found && side == 0 -> make(name)
			:: else
			fi;
			if
			:: found ->
				found--;
				its_generation = key_generation;
				attach(found, side);
				if
				:: changed ->
					keep(found);
					if
					:: kept ->
						d_step {
							owned[id] = found + 1;
							owned_generation[id] = its_generation
						}
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

#ifdef SWEEPER
bool swept;

active proctype sweeper()
{
	byte key_state, key_count, key_generation;
	bool used, changed;

	free_if_unused(0);
	swept = true
}
#else
/* One of them dies, at any step, or none. */
active proctype death()
{
	byte who;

	select(who : 0 .. 2);
	atomic {
		if
		:: who < 2 && !ended[who] -> dead[who] = true
		:: else
		fi
	}
}
#endif

init
{
	atomic {
#ifndef EMPTY
		slots[0].state = NAMED;
		slots[0].generation = 1;
		slots[0].word[0] = 1;
		slots[0].word[1] = 1;
		slots[0].word_generation[0] = 1;
		slots[0].word_generation[1] = 1;
		slots[0].epoch[0] = 1;
		slots[0].epoch[1] = 1;
		slots[0].end_state[0] = CLOSED;
		slots[0].end_state[1] = CLOSED;
		block_owner = 1;
		block_generation = 1;
#endif
		run program(0, 0, NAME_A);
		run program(1, SIDE_B, NAME_B)
	}
	ended[0] && ended[1];
#ifdef SWEEPER
	swept;
#endif

#define name_of(i)	(i == 0 -> NAME_A : NAME_B)
#define believes(i)	(owned[i] && !dead[i])
#define slot_of(i)	slots[owned[i] - 1]
#ifdef BLOCKLESS
#define has_block(s)	true
#else
#define has_block(s)	(block_owner == s + 1 && block_generation == slots[s].generation)
#endif
	byte s, i;

	/* Two programs have one object if they want one name, and no end is two programs'. */
	assert(!believes(0) || !believes(1) || (owned[0] == owned[1]) == (NAME_A == NAME_B));
	assert(!believes(0) || !believes(1) || NAME_A != NAME_B || SIDE_B);
	/* Both slots are not named the same. */
	assert(slots[0].state < NAMED || slots[1].state < NAMED ||
	       slots[0].word[0] != slots[1].word[0]);
	for (s : 0 .. 1) {
		/* An object has its name, whole, and its block; a claim is left by the dead only. */
		if
		:: slots[s].state >= NAMED ->
			assert(slots[s].word[0] == slots[s].word[1] && has_block(s));
			assert(slots[s].word_generation[0] == slots[s].generation)
		:: else -> assert(slots[s].state == FREE || dead[0] || dead[1])
		fi
	}
	for (i : 0 .. 1) {
		/* Whoever has an end has the object that it wanted, and nobody frees that. */
		if
		:: believes(i) ->
			assert(slot_of(i).state >= NAMED);
			assert(slot_of(i).generation == owned_generation[i]);
			assert(slot_of(i).word[0] == name_of(i));
		:: else
		fi
	}
}
