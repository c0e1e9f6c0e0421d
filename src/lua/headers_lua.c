/* headers_lua.c - moonwire.core.Headers: header lists for Lua.  A list that
 * comes from the codec is one block of memory that Lua frees; a list that
 * changes owns heap memory and so needs a finalizer. */
#include "core/headers.h"

#include <string.h>

#include "core/err.h"
#include "lua/h1_lua.h"
#include "lua/util.h"

#define HEADERS "moonwire.core.Headers"
#define CHANGED "moonwire.core.Headers (changed)"

/* Followed by the memory of a fixed list. */
struct headers_object {
    const struct mwL_type *type;
    struct mw_headers list;
};

static const struct mwL_type headers_type = {
    HEADERS,
    sizeof(struct headers_object),
};

static struct headers_object *
test_object(lua_State *L, int idx)
{
    struct headers_object *object = lua_touserdata(L, idx);

    if (object == NULL || lua_objlen(L, idx) < sizeof(*object))
        return NULL;
    return object->type == &headers_type ? object : NULL;
}

static struct headers_object *
check_object(lua_State *L, int idx)
{
    struct headers_object *object = test_object(L, idx);

    if (object == NULL)
        luaL_argerror(L, idx,
            lua_pushfstring(
                L, "%s expected, got %s", HEADERS, luaL_typename(L, idx)));
    return object;
}

const struct mw_headers *
mwL_check_headers(lua_State *L, int idx)
{
    return &check_object(L, idx)->list;
}

const struct mw_headers *
mwL_opt_headers(lua_State *L, int idx)
{
    return lua_isnoneornil(L, idx) ? NULL : mwL_check_headers(L, idx);
}

void
mwL_push_headers(lua_State *L, const struct mw_headers *headers)
{
    size_t size = headers != NULL ? mw_headers_fixed_size(headers) : 0;
    struct headers_object *object = lua_newuserdata(L, sizeof(*object) + size);

    object->type = &headers_type;
    mw_headers_init(&object->list);
    object->list.alloc = mwL_alloc(L);
    if (headers != NULL)
        mw_headers_copy_fixed(&object->list, headers, (char *)(object + 1));
    luaL_setmetatable(L, HEADERS);
}

/* The list at index 1, about to change. */
static struct mw_headers *
check_changing(lua_State *L)
{
    struct headers_object *object = check_object(L, 1);

    if (object->list.fixed || object->list.size == 0) {
        lua_pushvalue(L, 1);
        luaL_setmetatable(L, CHANGED); /* has a __gc: own memory only now */
        lua_pop(L, 1);
    }
    return &object->list;
}

static struct mw_slice
check_name(lua_State *L, int idx)
{
    struct mw_slice name;

    if (lua_type(L, idx) != LUA_TSTRING)
        luaL_error(L, "bad argument 'name' (string expected, got %s)",
            luaL_typename(L, idx));
    name.data = lua_tolstring(L, idx, &name.len);
    return name;
}

static struct mw_slice
check_value(lua_State *L, int idx)
{
    struct mw_slice value;

    if (lua_type(L, idx) != LUA_TSTRING && lua_type(L, idx) != LUA_TNUMBER)
        luaL_error(L,
            "bad argument 'value' (string or number expected, got %s)",
            luaL_typename(L, idx));
    value.data = lua_tolstring(L, idx, &value.len);
    return value;
}

static int
check_changed(lua_State *L, int code)
{
    if (code == MW_ENAME)
        return luaL_error(L, "bad argument 'name' (%s)", mw_err_text(code));
    if (code == MW_EVALUE)
        return luaL_error(L, "bad argument 'value' (%s)", mw_err_text(code));
    if (code != MW_OK)
        return luaL_error(L, "headers: %s", mw_err_text(code));
    return 0;
}

static int
push_value(lua_State *L, const struct mw_headers *list, ptrdiff_t i)
{
    struct mw_slice value;

    if (i < 0) {
        lua_pushnil(L);
        return 1;
    }
    value = mw_headers_value(list, (size_t)i);
    lua_pushlstring(L, value.data, value.len);
    return 1;
}

static int
l_headers_get(lua_State *L)
{
    const struct mw_headers *list = mwL_check_headers(L, 1);
    struct mw_slice name = check_name(L, 2);

    return push_value(L, list, mw_headers_find(list, name.data, name.len, 0));
}

static int
l_headers_get_all(lua_State *L)
{
    const struct mw_headers *list = mwL_check_headers(L, 1);
    struct mw_slice name = check_name(L, 2);
    ptrdiff_t at = mw_headers_find(list, name.data, name.len, 0);

    lua_newtable(L);
    for (int n = 1; at >= 0; n++) {
        push_value(L, list, at);
        lua_rawseti(L, -2, n);
        at = mw_headers_find(list, name.data, name.len, (size_t)at + 1);
    }
    return 1;
}

static int
l_headers_add(lua_State *L)
{
    struct mw_headers *list = check_changing(L);
    struct mw_slice name = check_name(L, 2);
    struct mw_slice value = check_value(L, 3);

    return check_changed(L, mw_headers_add(list, name, value));
}

static int
l_headers_set(lua_State *L)
{
    struct mw_headers *list = check_changing(L);
    struct mw_slice name = check_name(L, 2);
    struct mw_slice value = check_value(L, 3);

    return check_changed(L, mw_headers_set(list, name, value));
}

static int
l_headers_remove(lua_State *L)
{
    struct mw_headers *list = check_changing(L);

    lua_pushinteger(L, (lua_Integer)mw_headers_remove(list, check_name(L, 2)));
    return 1;
}

static int
l_headers_has(lua_State *L)
{
    const struct mw_headers *list = mwL_check_headers(L, 1);
    struct mw_slice name = check_name(L, 2);

    lua_pushboolean(L, mw_headers_find(list, name.data, name.len, 0) >= 0);
    return 1;
}

static int
each_next(lua_State *L)
{
    const struct mw_headers *list = mwL_check_headers(L, lua_upvalueindex(1));
    size_t i = (size_t)lua_tointeger(L, lua_upvalueindex(2));
    struct mw_slice name;

    if (i >= list->count)
        return 0;
    name = mw_headers_name(list, i);
    lua_pushinteger(L, (lua_Integer)i + 1);
    lua_replace(L, lua_upvalueindex(2));
    lua_pushlstring(L, name.data, name.len);
    return 1 + push_value(L, list, (ptrdiff_t)i);
}

static int
l_headers_each(lua_State *L)
{
    check_object(L, 1);
    lua_pushvalue(L, 1);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, each_next, 2);
    return 1;
}

static int
l_headers_count(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)mwL_check_headers(L, 1)->count);
    return 1;
}

static int
l_headers_copy(lua_State *L)
{
    mwL_push_headers(L, mwL_check_headers(L, 1));
    return 1;
}

/* Upvalue 1 holds the methods; they win over fields. */
static int
l_headers_index(lua_State *L)
{
    const struct mw_headers *list = mwL_check_headers(L, 1);
    struct mw_slice name;

    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
    if (!lua_isnil(L, -1) || lua_type(L, 2) != LUA_TSTRING)
        return 1;
    name.data = lua_tolstring(L, 2, &name.len);
    return push_value(L, list, mw_headers_find(list, name.data, name.len, 0));
}

static bool
is_secret(struct mw_slice name)
{
    return mw_is_word(name, "authorization") ||
           mw_is_word(name, "proxy-authorization") ||
           mw_is_word(name, "cookie") || mw_is_word(name, "set-cookie");
}

/* For logs: one line for each field, secrets left out. */
static int
l_headers_tostring(lua_State *L)
{
    const struct mw_headers *list = mwL_check_headers(L, 1);
    luaL_Buffer text;

    luaL_buffinit(L, &text);
    for (size_t i = 0; i < list->count; i++) {
        struct mw_slice name = mw_headers_name(list, i);
        struct mw_slice value = mw_headers_value(list, i);

        if (i > 0)
            luaL_addchar(&text, '\n');
        luaL_addlstring(&text, name.data, name.len);
        luaL_addlstring(&text, ": ", 2);
        if (is_secret(name))
            luaL_addstring(&text, "[redacted]");
        else
            luaL_addlstring(&text, value.data, value.len);
    }
    luaL_pushresult(&text);
    return 1;
}

static int
l_headers_gc(lua_State *L)
{
    mw_headers_deinit(&check_object(L, 1)->list);
    return 0;
}

static int
l_new(lua_State *L)
{
    mwL_push_headers(L, NULL);
    return 1;
}

/* Both classes look the same from Lua. */
static void
finish_class(lua_State *L, const char *name)
{
    luaL_getmetatable(L, name);
    lua_pushliteral(L, HEADERS);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "__name");
    lua_setfield(L, -2, "__metatable"); /* what getmetatable() gives */
    lua_getfield(L, -1, "__index");
    if (lua_istable(L, -1)) { /* not when the module is opened again */
        lua_pushcclosure(L, l_headers_index, 1);
        lua_setfield(L, -2, "__index");
    } else {
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

void
mwL_open_headers(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"get", l_headers_get},
        {"get_all", l_headers_get_all},
        {"add", l_headers_add},
        {"set", l_headers_set},
        {"remove", l_headers_remove},
        {"has", l_headers_has},
        {"each", l_headers_each},
        {"count", l_headers_count},
        {"copy", l_headers_copy},
        {NULL, NULL},
    };
    static const luaL_Reg meta[] = {
        {"__tostring", l_headers_tostring},
        {NULL, NULL},
    };
    static const luaL_Reg changed_meta[] = {
        {"__tostring", l_headers_tostring},
        {"__gc", l_headers_gc},
        {NULL, NULL},
    };

    mwL_class(L, HEADERS, methods, meta);
    finish_class(L, HEADERS);
    mwL_class(L, CHANGED, methods, changed_meta);
    finish_class(L, CHANGED);
    lua_pushcfunction(L, l_new);
    lua_setfield(L, -2, "headers");
}
