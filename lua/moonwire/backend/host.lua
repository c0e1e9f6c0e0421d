-- What the program around this Lua state does in moonwire's stead: empty for a plain one; inside
-- nginx backend/ngx.lua fills it in. For those who must know it before there is a backend.

---@class moonwire.Host
---@field name string? "nginx"
---@field tls_options table<string, string|true>? of moonwire.TlsOptions: true, it can be set there;
---  else what to do instead
---@field tls_context (fun(opts: table): table?, integer?, string?)? in place of core.tls_context
---@field log (fun(text: string))? where a transcript goes when nobody says so
local host = {}

return host
