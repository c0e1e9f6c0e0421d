-- download/part.lua - the file that a download is written to until it is whole: PATH.part, and
-- beside it PATH.part.info, which says of what version of which URL its bytes are the beginning. It
-- never sends a request.

local core = require "moonwire.core"
local dates = require "moonwire.date"
local errors = require "moonwire.error"
local ranges = require "moonwire.download.range"
local words = require "moonwire.progress.words"

local PIECE = 256 * 1024 -- bytes hashed at once
local BEFORE_A_TURN = 4 * 1024 * 1024 -- bytes hashed until the other tasks have their turn
local TITLE = "moonwire download 1"

---@class moonwire.download.Part: moonwire.download.Asked
---@field target string
---@field path string of the part
---@field resumed_from integer bytes that were here before
---@field private file file*
---@field private url string the URL's SHA-256: it may have secrets in it
local methods = {}
local Part = { __index = methods, __name = "moonwire.download.Part" }

local part = {}

--- An error of the file system's.
---@param target string
---@param problem moonwire.Error|integer|string  a code, or words of the system's or ours
---@param more string? behind it
---@return moonwire.Error
function part.failure(target, problem, more)
    if type(problem) == "string" then
        problem = core.error_code(problem) or { message = problem }
    end
    if type(problem) == "number" then
        problem = errors.from_code(problem, "body")
    end
    return errors.new {
        kind = "system", phase = "body", code = problem.code, errno = problem.errno,
        message = ("the download can't be saved as %s: %s%s"):format(target, problem.message,
            more or ""),
    }
end

local function hash_of(text)
    return assert(core.digest("SHA-256", text)):finish()
end

local function is_code(problem, name)
    local code = core.error_code(problem)
    return code and core.error_name(code) == name
end

-- The system's words in what io.open gives.
local function words_of(path, problem)
    return problem:sub(1, #path + 2) == path .. ": " and problem:sub(#path + 3) or problem
end

-- Opens the part, or makes it; nobody else has it then. Its owner may finish, and rename it, at any
-- moment until it is ours: then there is none, and one is made.
local function open_file(path, target)
    local why
    for _ = 1, 10 do
        local file, problem = io.open(path, "r+be")
        if not file and is_code(words_of(path, problem), "ENOENT") then
            file, problem = io.open(path, "wbxe")
            if file then -- now it can be read, too
                file:close()
                file, problem = io.open(path, "r+be")
            end
        end
        if file then
            local ok, code = core.part_claim(file, path)
            if ok then
                return file
            end
            file:close()
            if code == core.EAGAIN then
                return nil, part.failure(target, "Device or resource busy",
                    (": another download is writing %s"):format(path))
            elseif code == core.codes.EINVAL then
                return nil, part.failure(target, path .. " is no regular file")
            elseif code ~= core.codes.ESTATE then
                return nil, part.failure(target, code)
            end
            why = "other downloads come and go"
        else
            why = words_of(path, problem)
            if not is_code(why, "EEXIST") and not is_code(why, "ENOENT") then
                break
            end
        end
    end
    return nil, part.failure(target, why)
end

local function read_info(path)
    local file = io.open(path, "rbe")
    local text = file and file:read(65536) or ""
    if file then
        file:close()
    end
    if text:sub(1, #TITLE + 1) ~= TITLE .. "\n" then
        return nil
    end
    local info = {}
    for name, value in text:gmatch "\n(%l+): ([^\n]*)" do
        info[name] = value
    end
    local sound = text:find "\nend\n$" and (info.tag and ranges.is_strong(info.tag)
        or not info.tag and info.date and dates.parse(info.date))
    return sound and info or {}
end

local function write_info(self)
    local path = self.path .. ".info"
    local lines = { TITLE, "url: " .. self.url }
    if self.validator then
        lines[#lines + 1] = (self.is_date and "date: " or "tag: ") .. self.validator
    end
    if self.total then
        lines[#lines + 1] = ("total: %d"):format(self.total)
    end
    lines[#lines + 1] = "end\n"
    local ok, code = core.replace_file(path, table.concat(lines, "\n"))
    if not ok then
        return nil, part.failure(self.target, code)
    end
    return true
end

-- What is there of an earlier run is taken over where it is known what it is.
local function take_over(self, resumes)
    local info = read_info(self.path .. ".info")
    if self.size > 0 and not info then
        return nil, part.failure(self.target, "File exists",
            (": %s is not of a download that was broken off; move it away"):format(self.path))
    end
    local validator = info and (info.tag or info.date)
    local total = info and info.total and ranges.number(info.total)
    if resumes and self.size > 0 and validator and info.url == self.url
        and (not total or self.size <= total) then
        self.validator, self.is_date, self.total = validator, not info.tag, total
        self.resumed_from = self.size
        return true
    end
    local ok, code = core.part_cut(self.file, 0)
    if not ok then
        return nil, part.failure(self.target, code)
    end
    self.size = 0
    return true
end

--- Opens the part for a file.
---@param target string
---@param url string
---@param resumes boolean what is there already may be the beginning
---@return moonwire.download.Part? part, moonwire.Error? err
function part.open(target, url, resumes)
    local path = target .. ".part"
    local file, err = open_file(path, target)
    if not file then
        return nil, err
    end
    core.part_imitate(file, target, true)
    local self = setmetatable({
        target = target, path = path, file = file, url = hash_of(url), resumed_from = 0,
        size = file:seek "end" or 0,
    }, Part)
    local ok
    ok, err = take_over(self, resumes)
    if not ok then
        file:close()
        return nil, err
    end
    return self
end

--- Whether the bytes from `size` on can be asked for.
---@return boolean
function methods:can_go_on()
    return self.size > 0 and self.validator ~= nil
end

--- Forgets what is there: what comes next is the beginning of this version.
---@param validator string?
---@param is_date boolean?
---@param total integer?
---@return true? ok, moonwire.Error? err
function methods:begin(validator, is_date, total)
    local ok, code = core.part_cut(self.file, 0)
    if not ok then
        return nil, part.failure(self.target, code)
    end
    self.size, self.resumed_from = 0, 0
    self.validator, self.is_date, self.total = validator, is_date, total
    return write_info(self)
end

--- Sees to it that there is place for all of it.
---@return true? ok, moonwire.Error? err
function methods:reserve()
    local total = self.total
    if not total or total == 0 then
        return true
    end
    local ok, code, free = core.part_check_room(self.file, total)
    if ok then
        ok, code = core.part_reserve(self.file, total)
    end
    if ok then
        return true
    end
    local more = (": it has %s, %s of it are here"):format(words.bytes(total),
        words.bytes(self.size))
    if free and core.error_name(code) == "ENOSPC" then
        more = more .. (", and %s are free"):format(words.bytes(free))
    end
    return nil, part.failure(self.target, code, more)
end

local function pour(file, response)
    local text = response.buffered
    if text then
        local ok, problem = file:write(text)
        if not ok then
            return nil, problem, true
        end
        response.buffered = nil
    end
    if response.failure then
        return nil, response.failure
    elseif response.connection then
        local _, err, where = response.connection:pull_to_file(response, file)
        if err then
            return nil, err, where ~= nil
        end
    end
    return true
end

--- Writes the body of a response that nobody has read from behind what is there, as it came: no
--- content coding is undone.
---@param response moonwire.Response
---@return true? ok
---@return moonwire.Error? err
---@return boolean? is_file it is the file that failed
function methods:write(response)
    local file = self.file
    file:seek("set", self.size)
    local ok, err, is_file = pour(file, response)
    local flushed, problem = file:flush()
    if ok and not flushed then
        ok, err, is_file = nil, problem, true
    end
    self.size = file:seek "end" or self.size
    if is_file then
        err = part.failure(self.target, err)
    end
    return ok, err, is_file
end

--- Hashes all of it; the other tasks have their turn meanwhile.
---@param backend moonwire.Backend
---@return string? hash, moonwire.Error? err
function methods:sha256(backend)
    local file, digest, since = self.file, assert(core.digest "SHA-256"), 0
    file:seek "set"
    while true do
        local text, problem = file:read(PIECE)
        if not text then
            if problem then
                return nil, part.failure(self.target, problem)
            end
            return digest:finish()
        end
        digest:add(text)
        since = since + #text
        if since >= BEFORE_A_TURN then
            since = 0
            local code = backend:wait(backend:now())
            if code ~= core.ETIMEOUT then
                return nil, errors.from_code(code, "body", "hashing " .. self.path)
            end
        end
    end
end

--- All of it is there: it takes its name. The part is gone then.
---@param replaces boolean what has that name already
---@return true? ok, moonwire.Error? err
function methods:publish(replaces)
    local ok, code = core.part_cut(self.file, self.size)
    if ok then
        core.part_imitate(self.file, self.target, false)
        ok, code = core.part_sync(self.file)
    end
    if ok then
        ok, code = core.part_publish(self.path, self.target, replaces)
    end
    if not ok then
        return nil, part.failure(self.target, code)
    end
    os.remove(self.path .. ".info")
    self.file:close()
    return true
end

--- It isn't whole, and stays as it is for another run where that can go on from there; else it is
--- removed. What a file system puts aside for more goes back.
---@param keeps boolean
---@return string? path of what stays
function methods:leave(keeps)
    local file = self.file
    file:flush()
    self.size = file:seek "end" or self.size -- it may have been left in the middle of a write
    keeps = keeps and self:can_go_on()
    if keeps then
        core.part_cut(file, self.size)
    else
        os.remove(self.path)
        os.remove(self.path .. ".info")
    end
    file:close()
    return keeps and self.path or nil
end

return part
