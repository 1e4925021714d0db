/* SPDX-License-Identifier: MIT */
/*
 * The protocol of userspace/lib/wakeup/wakeup.h: one end passes messages on, the other waits
 * for each, grows drowsy and sleeps. No sleep has an end by itself here, so a lost
 * wake-up is a state from which nothing goes on, which spin finds.
 *
 * Stores wait in a buffer of their processor, in order, for up to DELAY ticks of a
 * clock, while loads go ahead (TSO, with a bound in time); a fence waits until the
 * buffer is empty. Drowsiness lasts DROWSY_TICKS: a store, and before it the store
 * that its processor has not seen yet, have arrived by then.
 *
 * Defined from outside, each breaks it: NO_DROWSINESS, NO_FENCE_OF_WAKER,
 * NO_FENCE_OF_SLEEPER, SLEEP_ON_OWN_WORD (a futex that a ring does not change),
 * SHORT_DROWSINESS.
 */

#ifndef MESSAGES
#define MESSAGES	3
#endif
#define DELAY		1
#if defined(NO_DROWSINESS)
#define DROWSY_TICKS	0
#elif defined(SHORT_DROWSINESS)
#define DROWSY_TICKS	1
#else
#define DROWSY_TICKS	3
#endif

#define AWAKE		0
#define DROWSY		1
#define ASLEEP		2
#define state_of(word)	((word) % 4)

/* What the waker has stored, message by message; the first @arrived are in memory. */
byte stored, arrived;
byte store_age[MESSAGES + 1];

/* The sleeper's word, in memory and on its way there. */
byte word;
byte words[4], word_age[4], words_count;

byte bell;		/* in memory; rung by a system call, which is a fence */
bool sleeping;
bool drowsy;
byte drowsy_ticks;
byte i;

#define is_late		((arrived < stored && store_age[arrived + 1] == DELAY) || \
			 (words_count > 0 && word_age[0] == DELAY))
#define has_to_pass	(arrived < stored || words_count > 0 || \
			 (drowsy && drowsy_ticks < DROWSY_TICKS))

/* Time goes on where somebody waits for it, and no store stays for longer than it may. */
active proctype clock()
{
end:
	do
	:: atomic {
		has_to_pass && !is_late ->
		for (i : 1 .. MESSAGES) {
			if
			:: i > arrived && i <= stored -> store_age[i]++
			:: else
			fi
		}
		for (i : 0 .. 3) {
			if
			:: i < words_count -> word_age[i]++
			:: else
			fi
		}
		if
		:: drowsy && drowsy_ticks < DROWSY_TICKS -> drowsy_ticks++
		:: else
		fi;
		i = 0
	}
	od
}

/* Stores reach memory at any time, in order. */
active proctype buffers()
{
end:
	do
	:: atomic { arrived < stored -> arrived++; store_age[arrived] = 0 }
	:: atomic {
		words_count > 0 ->
		word = words[0];
		words[0] = words[1]; words[1] = words[2]; words[2] = words[3]; words[3] = 0;
		word_age[0] = word_age[1]; word_age[1] = word_age[2]; word_age[2] = word_age[3];
		word_age[3] = 0;
		words_count--
	}
	od
}

inline ring()
{
	atomic {
		arrived == stored ->	/* the system call */
		bell++;
		sleeping = false
	}
}

active proctype waker()
{
	byte handled = 0, seen;

	do
	:: stored < MESSAGES ->
		atomic { stored++; store_age[stored] = 0 }
		seen = word;
		if
		:: seen == handled
		:: seen != handled ->
			if
			:: state_of(seen) == DROWSY ->
#ifndef NO_FENCE_OF_WAKER
				arrived == stored;
#endif
				seen = word
			:: else
			fi;
			if
			:: state_of(seen) == DROWSY
			:: else ->
				handled = seen;
				if
				:: state_of(seen) == ASLEEP -> ring()
				:: else
				fi
			fi
		fi
	:: stored == MESSAGES -> break
	od
}

inline announce(state)
{
	atomic {
		words_count < 4 ->
		if
		:: state == DROWSY -> waits = waits + 4
		:: else
		fi;
		words[words_count] = waits + state;
		word_age[words_count] = 0;
		words_count++
	}
}

active proctype sleeper()
{
	byte taken = 0, waits = 0, before;

	do
	:: taken == MESSAGES -> break
	:: taken < MESSAGES && arrived > taken -> taken++
	:: taken < MESSAGES && arrived <= taken ->
		before = bell;
		announce(DROWSY);
		atomic { drowsy = true; drowsy_ticks = 0 }
		if
		:: arrived > taken
		:: drowsy_ticks >= DROWSY_TICKS
		fi;
		drowsy = false;
		if
		:: arrived > taken
		:: arrived <= taken ->
			announce(ASLEEP);
#ifndef NO_FENCE_OF_SLEEPER
			words_count == 0;
#endif
			if
			:: arrived > taken
			:: arrived <= taken ->
#ifdef SLEEP_ON_OWN_WORD
				sleeping = true;
#else
				/* Of an eventfd as of a futex: a ring since then is seen. */
				atomic { sleeping = (bell == before) }
#endif
				!sleeping
			fi
		fi;
		announce(AWAKE)
	od
}
