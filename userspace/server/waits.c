// SPDX-License-Identifier: MIT
/*
 * What each client waits for: one list for each kind, so that nobody has to look
 * for those whose time has come. Those that wait for their turn are in a list of
 * their user's, since it is users who take turns.
 */

#include "server.h"

void waits_init(struct server *server)
{
	unsigned int i;

	for (i = 0; i < WAITS; i++)
		TAILQ_INIT(&server->waits[i]);
	TAILQ_INIT(&server->tells);
}

void waits_join(struct peer *client)
{
	client->wait = WAIT_NEWS;
	TAILQ_INSERT_TAIL(&client->server->waits[WAIT_NEWS], client, turn);
}

static void wait_for_turn(struct peer *client)
{
	struct user *user = client->user;

	if (TAILQ_EMPTY(&user->to_tell))
		TAILQ_INSERT_TAIL(&client->server->tells, user, tell);
	TAILQ_INSERT_TAIL(&user->to_tell, client, turn);
}

static void give_up_turn(struct peer *client)
{
	struct user *user = client->user;

	TAILQ_REMOVE(&user->to_tell, client, turn);
	if (TAILQ_EMPTY(&user->to_tell))
		TAILQ_REMOVE(&client->server->tells, user, tell);
}

void waits_leave(struct peer *client)
{
	if (client->wait == WAIT_TURN)
		give_up_turn(client);
	else
		TAILQ_REMOVE(&client->server->waits[client->wait], client, turn);
}

void waits_for(struct peer *client, enum wait wait)
{
	waits_leave(client);
	client->wait = wait;
	if (wait == WAIT_TURN)
		wait_for_turn(client);
	else
		TAILQ_INSERT_TAIL(&client->server->waits[wait], client, turn);
}

/* @why: Why it must go, a constant; NULL where it went by itself. */
void waits_to_end(struct peer *client, const char *why)
{
	if (client->wait == WAIT_END)
		return;
	client->end = why;
	waits_for(client, WAIT_END);
}

/* There are news for it. One that waits for room is told when it has some. */
void waits_over(struct peer *client)
{
	if (client->wait == WAIT_NEWS)
		waits_for(client, WAIT_TURN);
}

/* There are news for all who knew all. */
void waits_over_for_all(struct server *server)
{
	struct peer *client;

	while ((client = TAILQ_FIRST(&server->waits[WAIT_NEWS]))) {
		server->steps++;
		waits_for(client, WAIT_TURN);
	}
}
