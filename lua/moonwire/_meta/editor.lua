---@meta moonwire.editor
--- The line editor of the prompt (src/editor.c), over libedit, for editors; never loaded.
-- Declarations have no bodies, so their arguments are unused:
-- luacheck: ignore 212 241

---@class moonwire.editor
local editor = {}

--- Opens it on the terminal of this process.
---@return moonwire.editor.Editor
function editor.open() end

---@class moonwire.editor.Editor
local Editor = {}
---@param prompt string
---@return string? line nil: the end of the input, or
---@return "interrupted"? why by SIGINT
function Editor:read(prompt) end
--- Puts a line into the history.
---@param line string
function Editor:add(line) end
---@param path string of a history
---@return boolean ok
function Editor:load(path) end
---@param path string
---@return boolean ok
function Editor:save(path) end
--- Twice is harmless.
function Editor:close() end

return editor
