/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An object file that tells by one section that it is a kernel module's, whatever it is called. */
const char module_file[64] __attribute__((section(".gnu.linkonce.this_module"))) = "of no kernel";
