/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "analyzer/cmd/cmd.h"

int main(int argc, char **argv)
{
	return wh_main(argc, argv);
}
