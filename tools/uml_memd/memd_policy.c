// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which instance is to have how much memory.
 *
 * A guest with less than rules.low percent available, or under pressure, is short and wants
 * enough to have the mean of low and high available. One with more than rules.high percent can
 * spare what is above that mean. Between the two nothing changes, which is the hysteresis: after
 * a change a guest is in the middle of that range.
 *
 * Memory for guests that are short comes from what no guest has yet of the budget. If that is not
 * enough, it comes from guests that could spare some for some decisions. Then it comes from
 * guests that have more than their share of the budget by weight, down to that share, for those
 * that have less. If all have more than the budget, for example since it shrank, the order is the
 * same, without patience, and in the end all become smaller.
 */
#include "memd_policy.h"

/* A guest above its share keeps this much above it, so that equal guests do not take turns. */
#define SHARE_MARGIN(share)	((share) / 8)

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t above(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static unsigned int middle(const struct policy_rules *rules)
{
	return (rules->low + rules->high) / 2;
}

static int is_short(const struct policy_guest *guest, const struct policy_rules *rules)
{
	return guest->available < guest->size / 100 * rules->low ||
	       guest->pressure >= rules->pressure;
}

static uint64_t wanted(const struct policy_guest *guest, const struct policy_rules *rules)
{
	uint64_t ideal = guest->size / 100 * middle(rules), more;

	if (!is_short(guest, rules))
		return above(guest->minimum, guest->size);
	more = above(ideal, guest->available) / (100 - middle(rules)) * 100;
	return least(more > rules->step ? more : rules->step, above(guest->maximum, guest->size));
}

/* How much can be taken until its available memory is in the middle. */
static uint64_t to_spare(const struct policy_guest *guest, const struct policy_rules *rules)
{
	uint64_t surplus;

	if (is_short(guest, rules) || guest->available <= guest->size / 100 * rules->high)
		return 0;
	surplus = above(guest->available, guest->size / 100 * middle(rules));
	surplus = surplus / (100 - middle(rules)) * 100;
	return least(surplus, above(guest->target, guest->minimum));
}

static uint64_t share_of(const struct policy_guest *guest, const struct policy_rules *rules,
			 uint64_t weights)
{
	return rules->budget / weights * guest->weight;
}

/* ---- what may be taken of a guest, by the reason for it ---- */

enum source { PATIENT, SPARE, SHARE, MINIMUM, SOURCES };

static uint64_t may_be_taken(const struct policy_guest *guest, const struct policy_rules *rules,
			     enum source source, uint64_t weights)
{
	uint64_t share = share_of(guest, rules, weights);

	switch (source) {
	case PATIENT:
		return guest->calm < rules->patience ? 0 :
			above(to_spare(guest, rules), guest->size - guest->target);
	case SPARE:
		return above(to_spare(guest, rules), guest->size - guest->target);
	case SHARE:
		share += SHARE_MARGIN(share);
		return above(guest->target, share > guest->minimum ? share : guest->minimum);
	default:
		return above(guest->target, guest->minimum);
	}
}

static const char *const why_taken[SOURCES] = {
	[PATIENT] = "it has had memory to spare for some time, and others are short",
	[SPARE] = "it has memory to spare, and all have too much",
	[SHARE] = "it has more than its share",
	[MINIMUM] = "all have too much",
};

/*
 * Takes up to @amount from one source: of each guest in proportion to what it could give by its
 * weight. Returns how much.
 */
static uint64_t take(struct policy_guest *guests, int count, const struct policy_rules *rules,
		     enum source source, uint64_t weights, uint64_t amount)
{
	uint64_t taken = 0;

	for (int round = 0; round <= count && taken < amount; round++) {
		uint64_t sum = 0, left = amount - taken;

		for (int i = 0; i < count; i++)
			sum += may_be_taken(&guests[i], rules, source, weights) / guests[i].weight;
		for (int i = 0; i < count && sum && taken < amount; i++) {
			uint64_t most = may_be_taken(&guests[i], rules, source, weights), part;

			part = (double)left * (most / guests[i].weight) / sum + POLICY_MIB - 1;
			part = least(part / POLICY_MIB * POLICY_MIB,
				     most / POLICY_MIB * POLICY_MIB);
			if (!part)
				continue;
			guests[i].target -= part;
			guests[i].why = why_taken[source];
			taken += part;
		}
	}
	return taken;
}

/* ---- what is given ---- */

/* Up to where a guest gets memory; not one that others take from. */
static uint64_t wanted_size(const struct policy_guest *guest, const struct policy_rules *rules,
			    uint64_t most)
{
	if (guest->target < guest->size)
		return guest->target;
	return least(guest->size + wanted(guest, rules), most);
}

/*
 * Gives up to @amount to those that want some, by weight; with @all_weights only up to their
 * shares. Returns what is left.
 */
static uint64_t give(struct policy_guest *guests, int count, const struct policy_rules *rules,
		     uint64_t all_weights, uint64_t amount)
{
	for (int round = 0; round <= count && amount >= POLICY_MIB; round++) {
		uint64_t weights = 0, left = amount, more[count];

		for (int i = 0; i < count; i++) {
			uint64_t most = all_weights ? share_of(&guests[i], rules, all_weights) :
				UINT64_MAX;

			more[i] = above(wanted_size(&guests[i], rules, most), guests[i].target);
			weights += more[i] ? guests[i].weight : 0;
		}
		for (int i = 0; i < count && weights; i++) {
			uint64_t part = least(more[i], left / weights * guests[i].weight);

			part = least(part, amount) / POLICY_MIB * POLICY_MIB;
			if (!part)
				continue;
			guests[i].target += part;
			guests[i].why = guests[i].pressure >= rules->pressure ?
				"its programs wait for memory" : "it has little memory left";
			amount -= part;
		}
	}
	return amount;
}

/* Small changes are not worth the trouble. */
static void forget_small_changes(struct policy_guest *guests, int count,
				 const struct policy_rules *rules)
{
	for (int i = 0; i < count; i++)
		if (above(guests[i].target, guests[i].size) < rules->step / 4 &&
		    guests[i].target > guests[i].size)
			guests[i].target = guests[i].size;
}

/* All have more than the budget. */
static void shrink_all(struct policy_guest *guests, int count, const struct policy_rules *rules,
		       uint64_t weights, uint64_t excess)
{
	for (enum source source = SPARE; source < SOURCES && excess; source++)
		excess = above(excess, take(guests, count, rules, source, weights, excess));
}

static void serve(struct policy_guest *guests, int count, const struct policy_rules *rules,
		  uint64_t weights, uint64_t room)
{
	uint64_t want = 0, want_share = 0;

	for (int i = 0; i < count; i++) {
		uint64_t most = wanted_size(&guests[i], rules, UINT64_MAX);
		uint64_t share = share_of(&guests[i], rules, weights);

		want += above(most, guests[i].target);
		want_share += above(least(most, share), guests[i].target);
	}
	if (want > room)
		room += take(guests, count, rules, PATIENT, weights, want - room);
	if (want_share > room)
		room += take(guests, count, rules, SHARE, weights, want_share - room);
	room = give(guests, count, rules, weights, room);
	give(guests, count, rules, 0, room);
	forget_small_changes(guests, count, rules);
}

void policy_decide(struct policy_guest *guests, int count, const struct policy_rules *rules)
{
	uint64_t size = 0, weights = 0;

	for (int i = 0; i < count; i++) {
		struct policy_guest *guest = &guests[i];

		guest->target = guest->size;
		guest->why = "";
		guest->calm = to_spare(guest, rules) ? guest->calm + 1 : 0;
		if (guest->size > guest->maximum) {
			guest->target = guest->maximum;
			guest->why = "it has more than its maximum";
		}
		size += guest->target;
		weights += guest->weight;
	}
	if (size > rules->budget)
		shrink_all(guests, count, rules, weights, size - rules->budget);
	else if (count)
		serve(guests, count, rules, weights, rules->budget - size);
}

uint64_t policy_budget(uint64_t nominal, uint64_t size, const struct policy_host *host,
		       const struct policy_rules *rules)
{
	uint64_t missing = above(host->reserve, host->available), room;

	if (missing || host->pressure >= rules->pressure)
		return least(nominal, above(size, missing > rules->step ? missing : rules->step));
	/* Memory that the instances have need not be allocated yet, so only a part is theirs. */
	room = above(host->available - host->reserve, 2 * rules->step) / 2;
	return least(nominal, size + room);
}
