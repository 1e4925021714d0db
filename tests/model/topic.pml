/* SPDX-License-Identifier: MIT */
/*
 * The wake-ups of a topic: userspace/lib/topic/sleep.c. One publisher, SUBSCRIBERS (1 or 2). The
 * publisher looks at one word, sleeps, which each subscriber changes when it grows drowsy and when
 * it falls asleep, and only if that has changed at each of them; as long as one of them is drowsy,
 * with each message. In a lossless topic, HISTORY
 * is less than MESSAGES, and the publisher sleeps itself until both have taken what it overwrites.
 * No sleep has an end by itself here, so a lost wake-up is a state from which nothing goes
 * on, which spin finds.
 *
 * Stores wait in a buffer of their processor, as in waiting.pml: in order, for up to DELAY
 * ticks of a clock. A fence waits until the buffer is empty, and so do system calls and atomic
 * additions.
 *
 * Defined from outside, each breaks it: NO_DROWSINESS, SHORT_DROWSINESS, COUNT_FIRST (a
 * subscriber changes sleeps before it says what it does),
 * HANDLED_LATE (the publisher takes sleeps for handled as it is after its looks),
 * HANDLED_DROWSY (also where a subscriber is drowsy),
 * NO_COUNT_OF_WAITS (the waiting word of each sleep is the same), NO_FENCE_OF_PUBLISHER (before
 * its looks), NO_FENCE_OF_TAKER (before a subscriber's second look at the publisher),
 * NO_FENCE_OF_SLEEPER (before the publisher's last look), OWN_BELL (sleepers' futex is not
 * changed by a ring).
 */

#ifndef MESSAGES
#define MESSAGES	2
#endif
#ifndef SUBSCRIBERS
#define SUBSCRIBERS	1
#endif
#ifndef HISTORY
#define HISTORY		MESSAGES
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
#ifdef NO_COUNT_OF_WAITS
#define ONE_WAIT	0
#else
#define ONE_WAIT	4
#endif

#define PUBLISHER	2	/* subscribers are 0 and 1 */
#define DEPTH		3	/* of a buffer */

/* In memory. A program's word is its waiting word; taken[] of the subscribers. */
byte published, sleeps, bell, own_bell;
byte taken[2];
byte word[3];

/* What is on its way there: of the publisher @is_word tells words from published. */
byte value[9], age[9], count[3];
bool is_word[9];
#define at(who, i)	((who) * DEPTH + (i))

bool sleeping[3], drowsy[3];
byte ticks[3];
byte i;

#define is_late(who)	(count[who] > 0 && age[at(who, 0)] == DELAY)
#define has_to_pass(who) (count[who] > 0 || (drowsy[who] && ticks[who] < DROWSY_TICKS))

/* Time goes on where somebody waits for it, and no store stays for longer than it may. */
active proctype clock()
{
end:
	do
	:: atomic {
		(has_to_pass(0) || has_to_pass(1) || has_to_pass(2)) &&
		!is_late(0) && !is_late(1) && !is_late(2) ->
		for (i : 0 .. 8) {
			if
			:: i % DEPTH < count[i / DEPTH] -> age[i]++
			:: else
			fi
		}
		for (i : 0 .. 2) {
			if
			:: drowsy[i] && ticks[i] < DROWSY_TICKS -> ticks[i]++
			:: else
			fi
		}
		i = 0
	}
	od
}

inline arrive(who)
{
	count[who] > 0 ->
	if
	:: is_word[at(who, 0)] -> word[who] = value[at(who, 0)]
	:: !is_word[at(who, 0)] && who == PUBLISHER -> published = value[at(who, 0)]
	:: else -> taken[who % 2] = value[at(who, 0)]
	fi;
	value[at(who, 0)] = value[at(who, 1)]; value[at(who, 1)] = value[at(who, 2)];
	age[at(who, 0)] = age[at(who, 1)]; age[at(who, 1)] = age[at(who, 2)];
	is_word[at(who, 0)] = is_word[at(who, 1)]; is_word[at(who, 1)] = is_word[at(who, 2)];
	value[at(who, 2)] = 0; age[at(who, 2)] = 0; is_word[at(who, 2)] = false;
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

inline store(who, what, as_word)
{
	atomic {
		count[who] < DEPTH ->
		value[at(who, count[who])] = what;
		is_word[at(who, count[who])] = as_word;
		age[at(who, count[who])] = 0;
		count[who]++
	}
}

inline doze(who, is_there)
{
	atomic { drowsy[who] = true; ticks[who] = 0 }
	if
	:: is_there
	:: ticks[who] >= DROWSY_TICKS
	fi;
	atomic { drowsy[who] = false; ticks[who] = 0 }
}

/* On a futex: a ring since @before was read is seen. */
inline sleep_on(who, futex)
{
#ifdef OWN_BELL
	sleeping[who] = true;
#else
	atomic { sleeping[who] = (futex == before) }
#endif
	!sleeping[who]
}

#define has_room	(taken[0] + HISTORY > number && \
			 (SUBSCRIBERS == 1 || taken[1] + HISTORY > number))

/* Until there is room for message @number + 1. */
inline wait_for_room()
{
	do
	:: has_room -> break
	:: !has_room ->
		before = own_bell;
		waits = waits + ONE_WAIT;
		store(PUBLISHER, waits + DROWSY, true);
		doze(PUBLISHER, has_room);
		if
		:: has_room
		:: !has_room ->
			store(PUBLISHER, waits + ASLEEP, true);
#ifndef NO_FENCE_OF_SLEEPER
			count[PUBLISHER] == 0;
#endif
			if
			:: has_room
			:: !has_room -> sleep_on(PUBLISHER, own_bell)
			fi
		fi;
		store(PUBLISHER, waits + AWAKE, true)
	od
}

inline look_at(who)
{
	seen = word[who];
	if
	:: state_of(seen) == ASLEEP && seen != woken[who] -> woken[who] = seen; rings = true
	:: state_of(seen) == DROWSY -> is_drowsy = true
	:: else
	fi
}

inline wake_subscribers()
{
	before = sleeps;
	rings = false;
	is_drowsy = false;
#ifndef NO_FENCE_OF_PUBLISHER
	count[PUBLISHER] == 0;
#endif
	look_at(0);
#if SUBSCRIBERS == 2
	look_at(1);
#endif
#ifdef HANDLED_LATE
	before = sleeps;
#endif
#ifdef HANDLED_DROWSY
	handled = before;
#else
	if
	:: is_drowsy
	:: !is_drowsy -> handled = before
	fi;
#endif
	if
	:: rings -> atomic {
		count[PUBLISHER] == 0 ->
		bell++; sleeping[0] = false; sleeping[1] = false
	}
	:: else
	fi
}

active proctype publisher()
{
	byte number = 0, waits = 0, before, handled = 0, seen;
	byte woken[2];
	bool rings, is_drowsy;

	do
	:: number == MESSAGES -> break
	:: number < MESSAGES ->
		wait_for_room();
		number++;
		store(PUBLISHER, number, false);
		if
		:: sleeps != handled -> wake_subscribers()
		:: else
		fi
	od
}

/* As one atomic addition: it passes on what is in the buffer. */
inline add_to_sleeps(who)
{
	atomic { count[who] == 0 -> sleeps++ }
}

inline announce(who, state)
{
#ifdef COUNT_FIRST
	add_to_sleeps(who);
	store(who, waits + state, true);
	count[who] == 0
#else
	store(who, waits + state, true);
	add_to_sleeps(who)
#endif
}

inline wake_publisher(who)
{
#ifndef NO_FENCE_OF_TAKER
	count[who] == 0;
#endif
	if
	:: state_of(word[PUBLISHER]) == ASLEEP -> atomic {
		count[who] == 0 ->
		own_bell++; sleeping[PUBLISHER] = false
	}
	:: else
	fi
}

proctype subscriber(byte self)
{
	byte got = 0, waits = 0, before;

	do
	:: got == MESSAGES -> break
	:: got < MESSAGES && published > got ->
		got++;
#if HISTORY < MESSAGES
		store(self, got, false);
		if
		:: state_of(word[PUBLISHER]) != AWAKE -> wake_publisher(self)
		:: else
		fi
#endif
	:: got < MESSAGES && published <= got ->
		before = bell;
		waits = waits + ONE_WAIT;
		announce(self, DROWSY);
		doze(self, published > got);
		if
		:: published > got
		:: published <= got ->
			announce(self, ASLEEP);
			if
			:: published > got
			:: published <= got -> sleep_on(self, bell)
			fi
		fi;
		store(self, waits + AWAKE, true)
	od
}

init
{
	atomic {
		run subscriber(0);
#if SUBSCRIBERS == 2
		run subscriber(1)
#endif
	}
}
