std = "luajit"
self = false
max_line_length = 100
files["spec"] = { std = "+busted" }
files["lua/moonwire/backend/ngx.lua"] = { read_globals = { "ngx" } }
files["lua/moonwire/backend/ngx"] = { globals = { "ngx" } }
files["examples/nginx"] = { globals = { "ngx" } }
files["spec/support/worker.lua"] = { read_globals = { "ngx" } }
