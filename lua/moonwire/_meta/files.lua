---@meta moonwire.core
-- Types of what the C module has for files, for editors; never loaded. See core.lua beside this.
-- luacheck: ignore 212 241

---@class moonwire.core
local core = {}

--- Makes a folder that its owner alone may look into, unless it is there.
---@param path string
---@return true? ok
---@return integer? code EACCES also where there is one that somebody else owns, or may write to
function core.make_folder(path) end
--- What lies in a folder.
---@param path string
---@return moonwire.core.Folder? folder
---@return integer? code
function core.folder(path) end

---@class moonwire.core.Folder
local Folder = {}
--- The next plain file, in no order; nothing once all have been told, which closes it.
---@return string? name
---@return integer? size or a code: the folder can't be read, or ECLOSED
---@return number? changed seconds since 1970
function Folder:next() end
--- Twice is harmless.
function Folder:close() end

-- Files in the making ----------------------------------------------------------------------------

--- What stands at a path; "folder" is also a link to one, "link" one to anything else.
---@param path string
---@return "file"|"folder"|"link"|"other"|nil kind
---@return integer? code
function core.path_kind(path) end
--- Makes an open file this process's own for as long as it is open.
---@param file file*
---@param path string its name
---@return true? ok
---@return integer? code EAGAIN: somebody else has it; ESTATE: another file, or none, has that name
---  by now; EINVAL: it is no regular file
function core.part_claim(file, path) end
--- Gives it the permissions of the file at a path, if there is one.
---@param file file*
---@param path string
---@param is_in_the_making boolean? its owner may read and write it in any case
function core.part_imitate(file, path, is_in_the_making) end
--- Whether there is place for it to become so long.
---@param file file*
---@param size number
---@return true? ok
---@return integer? code ENOSPC's or EFBIG's
---@return number? free bytes that the file system has
function core.part_check_room(file, size) end
--- Puts aside what it needs for that; its length stays. True also where the file system can't.
---@param file file*
---@param size number
---@return true? ok, integer? code
function core.part_reserve(file, size) end
--- Makes it end there, and gives back what was put aside.
---@param file file*
---@param size number
---@return true? ok, integer? code
function core.part_cut(file, size) end
--- Returns when all that was flushed is on the disk.
---@param file file*
---@return true? ok, integer? code
function core.part_sync(file) end
--- Renames it, and syncs the folder.
---@param from string
---@param to string
---@param replaces boolean false: EEXIST's code where something has that name
---@return true? ok, integer? code
function core.part_publish(from, to, replaces) end
--- Whether a file is a terminal, and then its size in characters; 0 where it doesn't say.
---@param file file*
---@return integer? columns, integer? rows
function core.terminal_size(file) end
