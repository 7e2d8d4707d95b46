// SPDX-License-Identifier: GPL-2.0-only
/* Which instance gets how much memory: tools/uml_memd/memd_policy.c. */
#include "../../tools/uml_memd/memd_policy.c"
#include "../guest/check.h"

#define M(n) ((n) * POLICY_MIB)
#define MOST_GUESTS 8

static const struct policy_rules rules = {
	.budget = M(400), .low = 10, .high = 30, .pressure = 10, .patience = 3, .step = M(16),
};

static struct policy_guest guest(uint64_t size, uint64_t available)
{
	return (struct policy_guest) {
		.size = M(size), .available = M(available), .minimum = M(32), .maximum = M(512),
		.weight = 1, .pressure = -1,
	};
}

static uint64_t sum(const struct policy_guest *guests, int count)
{
	uint64_t all = 0;

	while (count--)
		all += guests[count].target;
	return all;
}

/* The decision is carried out: programs keep what they use. */
static void carry_out(struct policy_guest *guests, int count)
{
	for (int i = 0; i < count; i++) {
		uint64_t used = guests[i].size - guests[i].available;

		guests[i].size = guests[i].target;
		guests[i].available = guests[i].size > used ? guests[i].size - used : 0;
	}
}

static void test_one_by_one(void)
{
	struct policy_guest g[2] = { guest(200, 40), guest(200, 50) };

	policy_decide(g, 2, &rules);
	check(sum(g, 2) == M(400) && g[0].target == M(200),
	      "guests in the middle stay as they are");

	g[0] = guest(100, 5);
	g[1] = guest(100, 20);
	policy_decide(g, 2, &rules);
	check(g[0].target == M(118) && g[1].target == M(100) && *g[0].why,
	      "one that is short gets what brings it to the middle");

	g[0] = guest(100, 20);
	g[0].pressure = 12;
	policy_decide(g, 2, &rules);
	check(g[0].target == M(116), "one whose programs wait gets a step, whatever is available");
	g[0].pressure = 9;
	policy_decide(g, 2, &rules);
	check(g[0].target == M(100), "one whose programs wait seldom does not");

	g[0] = guest(100, 5);
	g[0].maximum = M(110);
	policy_decide(g, 2, &rules);
	check(g[0].target == M(110), "none gets more than its maximum");
	g[0] = guest(120, 20);
	g[0].maximum = M(110);
	policy_decide(g, 2, &rules);
	check(g[0].target == M(110), "one that has more than its maximum is made smaller");
	g[0] = guest(20, 5);
	policy_decide(g, 2, &rules);
	check(g[0].target == M(32), "one that has less than its minimum gets that");
}

static void test_patience(void)
{
	struct policy_guest g[2] = { guest(200, 10), guest(200, 150) };
	unsigned int decision;

	for (decision = 1; decision < 10; decision++) {
		policy_decide(g, 2, &rules);
		if (g[0].target != g[0].size)
			break;
	}
	check_equal(decision, rules.patience, "memory to spare is taken only after some decisions");
	check(sum(g, 2) <= M(400) && g[1].target < M(200), "from the one that has it");
	check(g[1].target >= M(50 * 100 / 80), "which keeps enough");

	g[1] = guest(200, 150);
	policy_decide(g, 2, &rules);
	policy_decide(g, 2, &rules);
	g[1].available = M(30);
	policy_decide(g, 2, &rules);
	g[1].available = M(150);
	policy_decide(g, 2, &rules);
	check(g[1].calm == 1 && g[1].target == M(200), "which must be in a row");
}

static void test_budget(void)
{
	struct policy_rules tight = rules;
	struct policy_guest g[3] = { guest(150, 90), guest(150, 20), guest(150, 20) };

	policy_decide(g, 3, &rules);
	check(sum(g, 3) <= M(400) && g[1].target == M(150) && g[2].target == M(150),
	      "above the budget, those with memory to spare become smaller at once");

	g[0] = guest(300, 31);
	policy_decide(g, 3, &rules);
	check(sum(g, 3) <= M(400) && g[0].target < M(160), "then those above their share");

	tight.budget = M(60);
	policy_decide(g, 3, &tight);
	check(g[0].target == M(32) && g[1].target == M(32) && g[2].target == M(32),
	      "and none below its minimum, even if the budget is less than that");
}

static void test_weights(void)
{
	struct policy_guest g[2] = { guest(200, 2), guest(200, 2) };

	g[0].weight = 3;
	for (int i = 0; i < 20; i++) {
		policy_decide(g, 2, &rules);
		g[0].size = g[0].target;	/* both use all that they have */
		g[1].size = g[1].target;
	}
	check(g[0].size >= M(260) && g[1].size >= M(100) && sum(g, 2) <= M(400),
	      "where all are short, weights decide");
	check(g[1].size <= M(400 / 4 + 400 / 4 / 8) + M(1), "with a margin of one eighth");

	g[0] = guest(100, 2);
	g[1] = guest(100, 2);
	g[0].weight = 2;
	struct policy_rules little = rules;

	little.budget = M(224);
	policy_decide(g, 2, &little);
	check(g[0].target - g[0].size > g[1].target - g[1].size && sum(g, 2) <= little.budget,
	      "and what is left goes by weight");
}

static void test_no_turns(void)
{
	struct policy_guest g[3] = { guest(140, 4), guest(130, 4), guest(130, 4) };
	int last_change = 0;

	for (int i = 1; i <= 100; i++) {
		policy_decide(g, 3, &rules);
		for (int j = 0; j < 3; j++) {
			if (g[j].target != g[j].size)
				last_change = i;
			g[j].size = g[j].target;
		}
	}
	check(last_change < 10, "equal guests that are all short do not take memory in turns");

	g[0] = guest(150, 100);
	g[1] = guest(120, 6);
	g[2] = guest(130, 20);
	for (int i = 1; i <= 100; i++) {
		policy_decide(g, 3, &rules);
		if (g[0].target != g[0].size || g[1].target != g[1].size ||
		    g[2].target != g[2].size)
			last_change = i;
		carry_out(g, 3);
	}
	check(last_change < 20, "nor does memory go back and forth when programs use the same");
}

static unsigned int random_number(void)
{
	static unsigned long long state = 1;

	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return state >> 33;
}

static void make_up(struct policy_guest *g)
{
	*g = guest(16 + random_number() % 500, 0);
	g->available = g->size / 100 * (random_number() % 100);
	g->minimum = M(16 + random_number() % 100);
	g->maximum = g->minimum + M(random_number() % 400);
	g->weight = 1 + random_number() % 5;
	g->pressure = (int)(random_number() % 30) - 1;
	g->calm = random_number() % 5;
}

/* Each rule that must hold whatever happens; 0, or the number of the one that does not. */
static int broken_rule(const struct policy_guest *g, int count, const struct policy_rules *r)
{
	uint64_t size = 0, minimums = 0;

	for (int i = 0; i < count; i++) {
		size += g[i].size;
		minimums += g[i].size < g[i].minimum ? g[i].size : g[i].minimum;
		if (g[i].target < g[i].minimum && g[i].target < g[i].size)
			return 1;
		if (g[i].target > g[i].maximum)
			return 2;
		if (g[i].target != g[i].size && !*g[i].why)
			return 3;
	}
	if (sum(g, count) > r->budget + M(count) && minimums < r->budget)
		for (int i = 0; i < count; i++)
			if (g[i].target > g[i].minimum + M(1) && g[i].target >= g[i].size)
				return 4;
	if (size <= r->budget && sum(g, count) > r->budget)
		return 5;
	return 0;
}

static void test_always(void)
{
	struct policy_guest g[MOST_GUESTS];
	int broken = 0;

	for (int i = 0; i < 200000 && !broken; i++) {
		struct policy_rules r = rules;
		int count = random_number() % (MOST_GUESTS + 1);

		r.budget = M(random_number() % 3000);
		for (int j = 0; j < count; j++)
			make_up(&g[j]);
		policy_decide(g, count, &r);
		broken = broken_rule(g, count, &r);
		for (int j = 0; broken && j < count; j++)
			say("# %lu MiB (%lu..%lu, weight %u, %lu available) to %lu of %lu\n",
			    g[j].size / M(1), g[j].minimum / M(1), g[j].maximum / M(1), g[j].weight,
			    g[j].available / M(1), g[j].target / M(1), r.budget / M(1));
	}
	check_equal(broken, 0, "whatever is known: limits, the budget and reasons hold");
}

static void test_host(void)
{
	struct policy_host host = { .available = M(1000), .reserve = M(100), .pressure = -1 };

	check(policy_budget(M(400), M(300), &host, &rules) == M(400),
	      "where the host has memory, the budget is what was asked for");
	host.available = M(60);
	check(policy_budget(M(400), M(300), &host, &rules) == M(260),
	      "where the host lacks some of its reserve, instances have to free that");
	host.available = M(99);
	check(policy_budget(M(400), M(300), &host, &rules) == M(300 - 16), "a step at least");
	host.available = M(110);
	check(policy_budget(M(400), M(300), &host, &rules) == M(300),
	      "where it has little more than its reserve, all stays as it is");
	host.available = M(172);
	check(policy_budget(M(400), M(300), &host, &rules) == M(320),
	      "and a part of what it has to spare may be used");
	host.available = M(1000);
	host.pressure = 10;
	check(policy_budget(M(400), M(300), &host, &rules) == M(300 - 16),
	      "where tasks of the host wait for memory, instances free a step at a time");
	host.reserve = M(10000);
	check(policy_budget(M(400), M(300), &host, &rules) == 0, "and never less than nothing");
}

/* Four guests, one of which is busy at a time, in less than they could use together. */
static void test_taking_turns(void)
{
	struct policy_guest g[4];
	struct policy_rules r = rules;
	uint64_t use[4] = { 0 };
	int served = 0, below = 0, over = 0;

	r.budget = M(480);
	for (int i = 0; i < 4; i++)
		g[i] = guest(120, 100);
	for (int turn = 0; turn < 8; turn++) {
		for (int i = 0; i < 4; i++)
			use[i] = i == turn % 4 ? M(200) : M(24);
		for (int i = 0; i < 12; i++) {
			for (int j = 0; j < 4; j++)
				g[j].available = g[j].size > use[j] ? g[j].size - use[j] : 0;
			policy_decide(g, 4, &r);
			over += sum(g, 4) > r.budget;
			for (int j = 0; j < 4; j++) {
				below += g[j].target < g[j].minimum;
				g[j].size = g[j].target;
			}
		}
		served += g[turn % 4].size >= M(200);
	}
	check_equal(served, 8, "four that take turns at being busy each get what they need");
	check(!below && !over, "within the budget, and none goes below its minimum");
}

int main(void)
{
	test_one_by_one();
	test_patience();
	test_budget();
	test_weights();
	test_no_turns();
	test_always();
	test_host();
	test_taking_turns();
	return check_done();
}
