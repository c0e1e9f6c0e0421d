/* h1_object.h - what the files of the codec's binding share. */
#ifndef MW_LUA_H1_OBJECT_H
#define MW_LUA_H1_OBJECT_H

#include <lua.h>

#include "core/h1.h"
#include "lua/util.h"

#define MWL_H1 "moonwire.core.H1"

struct mwL_h1 {
    const struct mwL_type *type;
    struct mw_h1 *h1; /* owned; NULL before and after its life */
    const struct mw_h1_request *holds_head; /* what is anchored at the moment */
    bool holds_input;
    bool holds_body;
};

/* Anchors: what is lent stays alive in these slots of the object's table. */
enum {
    MWL_H1_INPUT = 1,
    MWL_H1_HEAD,
    MWL_H1_BODY
};

/* The codec's object at index 1; raises when it is something else. */
struct mwL_h1 *mwL_check_h1_object(lua_State *L);

/* Lets go of the bytes it was fed once they are used up. */
void mwL_h1_drop_input(lua_State *L, struct mwL_h1 *object);

/* Adds the methods that read to the class. */
void mwL_add_h1_reading(lua_State *L);

#endif
