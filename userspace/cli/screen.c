// SPDX-License-Identifier: MIT
/* A text that changes, on the whole terminal. */

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <ncurses.h>

#include "cli.h"

static struct screen *screen;

/* -ENOTTY: the terminal is not known. */
int screen_open(void)
{
	screen = newterm(NULL, stdout, stdin);
	if (!screen)
		return -ENOTTY;
	cbreak();
	noecho();
	nodelay(stdscr, TRUE);
	keypad(stdscr, TRUE);
	curs_set(0);
	return 0;
}

/* The terminal is as it was. */
void screen_close(void)
{
	endwin();
	delscreen(screen);
	screen = NULL;
}

static enum screen_key translate(int key)
{
	switch (key) {
	case 'q':
	case 'Q':
		return SCREEN_QUIT;
	case 'i':
		return SCREEN_IDLE;
	case KEY_UP:
	case 'k':
		return SCREEN_UP;
	case KEY_DOWN:
	case 'j':
		return SCREEN_DOWN;
	case KEY_PPAGE:
		return SCREEN_PAGE_UP;
	case KEY_NPAGE:
	case ' ':
		return SCREEN_PAGE_DOWN;
	case KEY_LEFT:
	case 'h':
		return SCREEN_LEFT;
	case KEY_RIGHT:
	case 'l':
		return SCREEN_RIGHT;
	case KEY_HOME:
		return SCREEN_HOME;
	}
	return SCREEN_OTHER;
}

/* Up to @ms milliseconds for a key, or another size of the terminal. */
enum screen_key screen_wait(int ms)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	int ret, key = getch();

	if (key == ERR) {
		ret = poll(&input, 1, ms);
		if (!ret)
			return SCREEN_TIMEOUT;
		if (ret > 0 && !(input.revents & POLLIN))
			return SCREEN_QUIT;
		key = getch();
		if (ret > 0 && key == ERR)	/* its end: nobody is there any more */
			return SCREEN_QUIT;
	}
	return translate(key);
}

/* Lines that the table has room for, without its heading. */
unsigned int screen_room(void)
{
	return LINES > SCREEN_HEAD + 1 ? (unsigned int)LINES - SCREEN_HEAD - 1 : 0;
}

/* The next line, from column @left on. */
static const char *put_line(int row, const char *text, unsigned int left, attr_t attributes)
{
	size_t length = strcspn(text, "\n");

	attrset(attributes);
	if (left < length)
		mvaddnstr(row, 0, text + left, (int)(length - left));
	attrset(A_NORMAL);
	return text[length] ? text + length + 1 : text + length;
}

/*
 * @head: SCREEN_HEAD lines. @table: lines, the first its heading; @first: the next one to show;
 * @left: the first column of all of them.
 */
void screen_show(const char *head, const char *table, unsigned int first, unsigned int left)
{
	int row;

	erase();
	for (row = 0; row < SCREEN_HEAD && row < LINES; row++)
		head = put_line(row, head, 0, A_NORMAL);
	if (row < LINES)
		table = put_line(row++, table, left, A_REVERSE);
	while (first-- && *table)
		table += strcspn(table, "\n") + (strchr(table, '\n') ? 1 : 0);
	while (row < LINES && *table)
		table = put_line(row++, table, left, A_NORMAL);
	refresh();
}
