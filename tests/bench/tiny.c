// SPDX-License-Identifier: GPL-2.0-only
/* The program that `bench` executes: it ends at once. */
int main(void)
{
	return 0;
}
