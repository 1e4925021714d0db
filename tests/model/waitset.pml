/* SPDX-License-Identifier: MIT */
/*
 * The wake-ups of a wait set: userspace/lib/waitset, and waker.c and hints.c of
 * userspace/lib/wakeup. Two programs send to a channel each; both channels are in one set. A
 * member is looked at each time as long as it is awake. It grows drowsy, and is armed before
 * the set sleeps. Then its sender hints at it, and rings the set once for each of its sleeps.
 * No sleep has an end by itself here, so a lost wake-up is a state from which nothing goes on,
 * which spin finds.
 *
 * Stores wait in a buffer of their processor, as in waiting.pml: in order, for up to DELAY
 * ticks of a clock. A fence waits until the buffer is empty, and so do system calls.
 *
 * Defined from outside, each breaks it: NO_DROWSINESS, SHORT_DROWSINESS, NO_FENCE_OF_WAKER (of
 * one that finds a member drowsy), NO_FENCE_OF_SET (before its last look), NO_LAST_LOOK (at those
 * that it has just armed), NO_FENCE_BEHIND_HINT (before the look at the set's word), STAY_ARMED (a
 * member that was hinted at is not armed anew), NO_COUNT_OF_SLEEPS (the set's word is the same
 * in each sleep), OWN_BELL (a ring does not change what is slept on). SENDERS is 1 or 2.
 */

#ifndef MESSAGES
#define MESSAGES	2
#endif
#ifndef SENDERS
#define SENDERS		2
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
#define IN_SET		3
#define state_of(word)	((word) % 4)
#ifdef NO_COUNT_OF_SLEEPS
#define ONE_SLEEP	0
#else
#define ONE_SLEEP	4
#endif

/* Places in memory, and who stores there: sender 0 and 1, and the set, 2. */
#define SENT(k)		(k)		/* how many messages */
#define WORD(k)		(2 + (k))	/* of a member */
#define HINT(k)		(4 + (k))
#define SET_WORD	6
#define RUNG		7
#define SET		2
#define DEPTH		5		/* of a buffer */
#define at(who, i)	((who) * DEPTH + (i))

byte memory[8];
byte place[15], value[15], age[15], count[3];

byte bell;		/* in memory; rung by a system call, which is a fence */
bool sleeping, drowsy;
byte ticks;
byte i;

#define is_late(who)	(count[who] > 0 && age[at(who, 0)] == DELAY)
#define has_to_pass	(count[0] + count[1] + count[2] > 0 || (drowsy && ticks < DROWSY_TICKS))

/* Time goes on where somebody waits for it, and no store stays for longer than it may. */
active proctype clock()
{
end:
	do
	:: atomic {
		has_to_pass && !is_late(0) && !is_late(1) && !is_late(2) ->
		for (i : 0 .. 14) {
			if
			:: i % DEPTH < count[i / DEPTH] -> age[i]++
			:: else
			fi
		}
		if
		:: drowsy && ticks < DROWSY_TICKS -> ticks++
		:: else
		fi;
		i = 0
	}
	od
}

inline arrive(who)
{
	count[who] > 0 ->
	memory[place[at(who, 0)]] = value[at(who, 0)];
	for (i : 0 .. DEPTH - 2) {
		place[at(who, i)] = place[at(who, i + 1)];
		value[at(who, i)] = value[at(who, i + 1)];
		age[at(who, i)] = age[at(who, i + 1)]
	}
	place[at(who, DEPTH - 1)] = 0;
	value[at(who, DEPTH - 1)] = 0;
	age[at(who, DEPTH - 1)] = 0;
	i = 0;
	count[who]--
}

/* Stores reach memory at any time, in order. */
active proctype buffers()
{
end:
	do
	:: atomic { arrive(0) }
	:: atomic { arrive(1) }
	:: atomic { arrive(2) }
	od
}

inline store(who, where, what)
{
	atomic {
		count[who] < DEPTH ->
		place[at(who, count[who])] = where;
		value[at(who, count[who])] = what;
		count[who]++
	}
}

#define fence(who)	count[who] == 0

inline ring(who)
{
	atomic {
		fence(who) ->	/* the system call */
		bell++;
		sleeping = false
	}
}

inline tell_set(who)
{
	atomic { fence(who) -> store(who, HINT(who), 1) }
#ifndef NO_FENCE_BEHIND_HINT
	fence(who);
#endif
	seen = memory[SET_WORD];
	if
	:: state_of(seen) == ASLEEP && memory[RUNG] != seen ->
		ring(who);
		store(who, RUNG, seen)
	:: else
	fi
}

active [SENDERS] proctype sender()
{
	byte handled = 0, sent = 0, seen, me;

	me = _pid - 2;
	do
	:: sent < MESSAGES ->
		atomic { sent++; store(me, SENT(me), sent) }
		seen = memory[WORD(me)];
		if
		:: atomic { state_of(seen) == DROWSY && seen != handled ->
#ifndef NO_FENCE_OF_WAKER
			fence(me);
#endif
			seen = memory[WORD(me)] }
		:: else
		fi;
		if
		:: atomic { seen != handled && state_of(seen) == IN_SET -> handled = seen }
			tell_set(me)
		:: atomic { seen != handled && state_of(seen) == AWAKE -> handled = seen }
		:: else
		fi;
		seen = 0
	:: else -> break
	od
}

#define has_news(k)	(memory[SENT(k)] > taken[k])
#define has_hint(k)	(memory[HINT(k)] == 1)
#define is_seen(k)	(has_hint(k) || (!armed[k] && has_news(k)))

inline announce(k, state)
{
	if
	:: state == DROWSY -> waits[k] = waits[k] + 4
	:: else
	fi;
	store(SET, WORD(k), waits[k] + state)
}

inline awaken(k)
{
	if
	:: armed[k] -> armed[k] = false; announce(k, AWAKE)
	:: else
	fi
}

/* What is hinted at is awake from now on, whether it has anything or not. */
inline take_hint(k)
{
	if
	:: has_hint(k) ->
		store(SET, HINT(k), 0);
		fence(SET);
#ifdef STAY_ARMED
		do
		:: has_news(k) -> taken[k]++
		:: else -> break
		od
#else
		awaken(k)
#endif
	:: else
	fi
}

inline look()
{
	take_hint(0);
	take_hint(1);
	do
	:: atomic { !armed[0] && has_news(0) -> taken[0]++ }
	:: atomic { !armed[1] && has_news(1) -> taken[1]++ }
	:: else -> break
	od
}

inline drowse(k)
{
	if
	:: !armed[k] -> announce(k, DROWSY)
	:: else
	fi
}

inline arm(k)
{
	if
	:: !armed[k] -> announce(k, IN_SET); armed[k] = true; fresh[k] = true
	:: else
	fi
}

/* One that has something is awake again. */
inline look_once_more(k)
{
	if
#ifndef NO_LAST_LOOK
	:: fresh[k] && has_news(k) -> awaken(k)
#endif
	:: else
	fi;
	fresh[k] = false
}

active proctype set()
{
	byte taken[2], waits[2], sleeps = 0, before;
	bool armed[2], fresh[2];

#if SENDERS == 1
	armed[1] = true;
	taken[1] = MESSAGES;
#endif
	do
	:: taken[0] == MESSAGES && taken[1] == MESSAGES -> break
	:: else ->
		look();
		before = bell;
		atomic { drowse(0); drowse(1); drowsy = true; ticks = 0 }
		if
		:: is_seen(0) || is_seen(1)
		:: ticks >= DROWSY_TICKS
		fi;
		atomic { drowsy = false; ticks = 0 }
		if
		:: is_seen(0) || is_seen(1)
		:: taken[0] == MESSAGES && taken[1] == MESSAGES
		:: else ->
			atomic {
				sleeps = sleeps + ONE_SLEEP;
				store(SET, SET_WORD, 8 + sleeps + ASLEEP);
				arm(0);
				arm(1)
			}
#ifndef NO_FENCE_OF_SET
			fence(SET);
#endif
			look_once_more(0);
			look_once_more(1);
			if
			:: is_seen(0) || is_seen(1)
			:: else ->
#ifdef OWN_BELL
				sleeping = true;
#else
				/* Of an eventfd as of a futex: a ring since then is seen. */
				atomic { sleeping = (bell == before) }
#endif
				!sleeping
			fi;
			store(SET, SET_WORD, 8 + sleeps + AWAKE)
		fi
	od
}
