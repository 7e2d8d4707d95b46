// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pace of disk transfers (arch/um/os-Linux/drivers/disk/disk_pace.c), on clocks of this test:
 * what is held back and for how long, when completions are quiet, and when an idle virtual CPU
 * polls.
 */
#include "../../arch/um/os-Linux/drivers/disk/disk_pace.c"
#include "../guest/check.h"

#define RULES disk_pace_rules
#define SMALL 4096
#define FILE 5

/* A virtual CPU: its pace, the time, its ring, and what the last event returned. */
static struct disk_pace pace;
static unsigned long long now, where;
static struct disk_load load;
static int held, quiet, timer;
static unsigned int host_calls;

static void start(void)
{
	pace = (struct disk_pace){ 0 };
	now = 1000ULL * RULES.no_poll_ns;
	where = 1 << 20;
	load = (struct disk_load){ 0 };
	held = quiet = timer = 0;
	host_calls = 0;
}

static void queue_at(int fd, unsigned long long offset, unsigned long long length)
{
	disk_pace_queued(&pace, fd, offset, length);
	load.queued++;
	where = offset + length;
}

static void queue_random(void)
{
	queue_at(FILE, where + 3 * SMALL, SMALL);
}

static void queue_next(void)
{
	queue_at(FILE, where, SMALL);
}

static void send(int submits)
{
	quiet = disk_pace_sends(&pace, submits, load.queued + load.sent);
	disk_pace_sent(&pace);
	host_calls += load.queued > 0;
	load.sent += load.queued;
	load.queued = 0;
	timer = disk_pace_turned(&pace, now, quiet);
}

/* As uring_turn() takes a turn with a submission. */
static void submit(void)
{
	held = disk_pace_submits(&pace, now, &load);
	if (held)
		timer = disk_pace_turned(&pace, now, 1);
	else
		send(1);
}

/* As it takes a turn after so many completions. */
static void complete(unsigned int count)
{
	need(count <= load.sent);
	held = disk_pace_waits(&pace, &load);
	load.sent -= count;
	if (held) {
		disk_pace_put_off(&pace);
		held = disk_pace_waits(&pace, &load);
	}
	if (held)
		timer = disk_pace_turned(&pace, now, 1);
	else
		send(0);
}

static void submit_random(void)
{
	now += 1000;
	queue_random();
	submit();
}

/* A rush with nothing held back and 32 transfers that the host has. */
static void start_rush(void)
{
	start();
	for (unsigned int i = 0; i <= RULES.rush; i++)
		submit_random();
	send(1);
	load.sent = 32;
	need(pace.rush >= RULES.rush && !load.queued && quiet);
}

static unsigned int held_in_a_row(void (*queue)(void))
{
	unsigned int count = 0;

	do {
		queue();
		submit();
		count++;
	} while (held);
	return count;
}

static void queue_large(void)
{
	queue_at(FILE, where + SMALL, RULES.batch_bytes / 2);
}

static void queue_other_file(void)
{
	queue_at(pace.last_fd + 1, where, SMALL);
}

/* ---- rushes ---- */

static void check_rush(void)
{
	unsigned int i;

	start();
	submit_random();
	for (i = 1; i < 100; i++) {
		submit_random();
		if (held)
			break;
	}
	check_equal(i, RULES.rush, "a transfer is held back after `rush` submissions in a row");

	start_rush();
	now += RULES.soon_ns;
	queue_random();
	submit();
	check(held, "a submission soon_ns after the last turn continues the rush");
	send(1);
	now += RULES.soon_ns + 1;
	queue_random();
	submit();
	check(!held && !pace.rush && !quiet, "a nanosecond later it ends it");

	start_rush();
	for (i = 0; i < 2 * RULES.most_rush; i++)
		submit_random();
	check_equal(pace.rush, RULES.most_rush, "submissions are counted up to most_rush");
	for (i = 0; pace.rush >= RULES.rush; i++)
		disk_pace_sleeps(&pace, now);
	check_equal(i, 4, "and the fourth sleep after that ends the rush");
}

static void check_batch(void)
{
	start_rush();
	check_equal(held_in_a_row(queue_random), RULES.batch, "transfers are sent as a batch");
	check_equal(held_in_a_row(queue_random), RULES.batch, "and so are the next ones");
	queue_random();
	send(1);
	check_equal(held_in_a_row(queue_next), RULES.batch_in_row,
		    "a batch of sequential transfers is larger");
	start_rush();
	check_equal(held_in_a_row(queue_next), RULES.batch_in_row,
		    "if the first one follows what was sent before");
	start_rush();
	check_equal(held_in_a_row(queue_other_file), RULES.batch,
		    "transfers of several files are not sequential");
	start_rush();
	check_equal(held_in_a_row(queue_large), 2, "batch_bytes end a batch early");
	check_equal(held_in_a_row(queue_random), RULES.batch, "and do not count for the next one");

	start_rush();
	for (unsigned int i = 0; i < RULES.batch; i++) {
		queue_next();
		submit();
	}
	need(held);
	queue_random();
	submit();
	check(!held, "one that is not sequential sends those before it");

	start_rush();
	submit_random();
	check_equal(1 + held_in_a_row(queue_next), RULES.batch,
		    "nor is a larger batch begun by one that is not");
}

static void check_not_held(void)
{
	start_rush();
	load.sent = 0;
	queue_random();
	submit();
	check(!held && !quiet, "nothing is held back, nor quiet, if the host has no transfer");
	start_rush();
	load.sent = 1;
	queue_random();
	submit();
	check(held, "with a single one it is");
	start_rush();
	load.overflows = 1;
	queue_random();
	submit();
	check(!held, "nothing is held back once the ring is full");

	start_rush();
	host_calls = 0;
	for (int i = 0; i < 1000; i++) {
		submit_random();
		if (load.sent > 32)
			load.sent = 32;
	}
	check_equal(host_calls, 1000 / RULES.batch, "a long rush costs a host call for each batch");
	start();
	for (int i = 0; i < 1000; i++) {
		submit_random();
		now += RULES.soon_ns;
	}
	check_equal(host_calls, 1000, "submissions with rests between them cost one each");
}

/* ---- completions ---- */

static void check_quiet(void)
{
	start();
	submit_random();
	check(!quiet, "without a rush, completions raise an interrupt");
	start_rush();
	submit_random();
	check(held && disk_pace_is_quiet(&pace), "with transfers held back, completions are quiet");
	start_rush();
	load.sent = 0;
	queue_random();
	queue_random();
	submit();
	check(!held && quiet, "after transfers were sent in a rush, too");
	start_rush();
	complete(1);
	check(!quiet && !disk_pace_is_quiet(&pace), "a turn without a submission ends that");
	start_rush();
	submit_random();
	disk_pace_sleeps(&pace, now);
	check(!disk_pace_is_quiet(&pace), "and so does a sleep");
}

static void check_put_off(void)
{
	unsigned int i;

	start_rush();
	submit_random();
	for (i = 0; held && i < 100; i++)
		complete(1);
	check_equal(i, RULES.put_off, "held transfers stay for less than put_off completions");
	start_rush();
	submit_random();
	load.sent = RULES.batch + 1;
	complete(1);
	check(held, "they stay while the host still has a batch to do");
	complete(1);
	check(!held && !pace.put_off && load.sent == RULES.batch,
	      "with less than a batch they are sent");
	start_rush();
	complete(1);
	check(!held, "without held transfers there is nothing to put off");
	start_rush();
	submit_random();
	disk_pace_sleeps(&pace, now);
	check(!disk_pace_waits(&pace, &load), "nor if completions are not quiet");
	start_rush();
	submit_random();
	load.overflows = 1;
	check(!disk_pace_waits(&pace, &load), "nor once the ring is full");
	start_rush();
	submit_random();
	pace.held_bytes = RULES.batch_bytes;
	check(!disk_pace_waits(&pace, &load), "nor if batch_bytes are held");
}

static void check_timer(void)
{
	unsigned long long set;

	start();
	while (!timer)
		submit_random();
	set = now;
	now = set + RULES.timer_ns - 1;
	check(!disk_pace_turned(&pace, now, 1), "for timer_ns the timer is not set another time");
	now++;
	check(!disk_pace_turned(&pace, now, 0), "nor for a turn that is not quiet");
	check(disk_pace_turned(&pace, now, 1), "it is for a quiet one after that");
	start();
	submit_random();
	check(!timer && !pace.timer_set, "without a rush there is no timer");
}

/* ---- rests ---- */

/* Rests and finds a completion after ns. */
static void rest_for(unsigned long long ns)
{
	disk_pace_rests(&pace, now);
	now += ns;
	disk_pace_completed(&pace, now);
}

static int would_poll(void)
{
	struct disk_pace copy = pace;

	return disk_pace_rests(&copy, now);
}

static void check_average(void)
{
	unsigned int i;

	start();
	check(would_poll(), "an idle virtual CPU polls at first");
	rest_for(800);
	check_equal(pace.wait, 100, "an eighth of each wait is in the average");
	rest_for(0);
	check_equal(pace.wait, 88, "from which an eighth is taken");
	for (i = 0; would_poll() && i < 100; i++)
		rest_for(1000000000ULL);
	check_equal(i, 6, "six long waits in a row end polling");
	pace.wait = RULES.poll_ns;
	check(!would_poll(), "an average of poll_ns is a long one");
	pace.wait--;
	check(would_poll(), "a nanosecond less is none");
	for (i = 0; i < 6; i++)
		rest_for(1000000000ULL);
	for (i = 0; !would_poll() && i < 100; i++)
		rest_for(20000);
	check(i && i < 6, "a few short waits bring it back");
	for (i = 0; i < 100; i++)
		rest_for(1000000000ULL);
	for (i = 0; !would_poll() && i < 100; i++)
		rest_for(20000);
	check_equal(i, 6, "six do after any number of long ones");
	disk_pace_completed(&pace, now + 1000000000ULL);
	check(would_poll(), "a completion without a rest is no wait");
}

static void check_rest(void)
{
	start();
	disk_pace_rests(&pace, now);
	now += RULES.poll_ns - 1;
	check(disk_pace_rests(&pace, now), "a rest that is interrupted continues to poll");
	now++;
	check(!disk_pace_rests(&pace, now), "until poll_ns are over");
	disk_pace_completed(&pace, now);
	check(disk_pace_rests(&pace, now), "the next one polls");

	start();
	disk_pace_sleeps(&pace, now);
	now += 8000;
	disk_pace_completed(&pace, now);
	check_equal(pace.wait, 1000, "a sleep without a poll before it is a wait");
	disk_pace_rests(&pace, now);
	now += 8000;
	disk_pace_sleeps(&pace, now);
	now += 8000;
	disk_pace_completed(&pace, now);
	check_equal(pace.wait, 1000 + (16000 - 1000) / 8, "a poll and a sleep are one");
}

static int looks_after(unsigned int ns, int completed)
{
	now += ns;
	return disk_pace_polled(&pace, now - ns, now, completed);
}

static void check_poll(void)
{
	start();
	disk_pace_rests(&pace, now);
	check(looks_after(100, 0), "a poll continues while it finds nothing");
	check(!looks_after(100, 1), "a completion ends it");
	now = pace.rested + RULES.poll_ns - 100;
	check(looks_after(100, 0), "it lasts for poll_ns");
	check(!looks_after(1, 0) && !pace.no_poll, "and no longer");
}

static void check_late(void)
{
	start();
	disk_pace_rests(&pace, now);
	check(looks_after(RULES.late_ns, 0), "two looks that are late_ns apart are not late");
	check(!looks_after(RULES.late_ns + 1, 0), "a nanosecond more ends the poll");
	disk_pace_completed(&pace, now);
	now += RULES.no_poll_ns - 1;
	check(!would_poll(), "and for no_poll_ns there is no other");
	now++;
	check(would_poll(), "which the next one follows");

	start();
	disk_pace_rests(&pace, now);
	looks_after(RULES.late_completed_ns, 1);
	disk_pace_completed(&pace, now);
	check(would_poll(), "if a transfer completed, two looks may be late_completed_ns apart");
	disk_pace_rests(&pace, now);
	looks_after(RULES.late_completed_ns + 1, 1);
	disk_pace_completed(&pace, now);
	check(!would_poll(), "and no more");
}

int main(void)
{
	check_rush();
	check_batch();
	check_not_held();
	check_quiet();
	check_put_off();
	check_timer();
	check_average();
	check_rest();
	check_poll();
	check_late();
	return check_done();
}
