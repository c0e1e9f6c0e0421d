/* player.h - leads a codec through bytes and writes down what it said. */
#ifndef SPEC_FUZZ_PLAYER_H
#define SPEC_FUZZ_PLAYER_H

#include "core/buf.h"
#include "core/h1.h"
#include "fuzz/input.h"

/* How a run goes, chosen by the first byte of the input. */
struct run {
    enum mw_h1_role role;
    unsigned first;  /* which request, or response, comes first */
    bool eof;        /* comes after the last byte */
    bool low_limits; /* so that small input reaches them */
    unsigned compat;
};

struct run take_run(struct choices *from, enum mw_h1_role role);

/* Divides, in the bytes of a run, what comes before an exchange from what
 * comes after it. */
#define FUZZ_THEN "\xFF\x01"

/* Plays the bytes, checks after each event what always holds, and appends one
 * line for each event to `said`. */
void play(const struct run *run, struct mw_slice bytes, struct cutter *cutter,
    struct mw_buf *said);

#endif
