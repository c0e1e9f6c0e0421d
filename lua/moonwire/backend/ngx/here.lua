-- Whether this Lua state is nginx's: a global table of that name alone may be a test's.
return ngx ~= nil and package.loaded.ngx == ngx and ngx.get_phase ~= nil
