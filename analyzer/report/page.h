/* SPDX-License-Identifier: GPL-2.0-or-later */
/* page: the HTML report without its data (page.html, embedded by the build). */
#ifndef WH_REPORT_PAGE_H
#define WH_REPORT_PAGE_H

#include <stddef.h>

extern const unsigned char wh_report_page[];
extern const size_t wh_report_page_len;
/** Where the data goes, once. */
#define WH_REPORT_PAGE_MARK "@WEEPHOLE_DATA@"

#endif
