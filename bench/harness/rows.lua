-- What `make bench` measures, in the order of its table: for each row its commands, and which of
-- them is judged against which.

local bulk = require "bench.harness.rows.bulk"
local counts = require "bench.harness.rows.counts"
local own = require "bench.harness.rows.own"
local small = require "bench.harness.rows.small"

---@class bench.Row
---@field name string as in `make bench ROW=name`
---@field title string
---@field targets bench.Target[]?
---@field cases (fun(site: bench.Site, options: table): bench.Case[])? run in turn
---@field unit table? what the costs are shown as: {word, factor, per}
---@field run (fun(site: bench.Site, options: table): table)? instead of cases: gives verdicts, text
---@field alone boolean? not part of the whole table: only by its name

local rows = {}

for _, list in ipairs { small, bulk, own, counts } do
    for _, row in ipairs(list) do
        rows[#rows + 1] = row
    end
end

return rows
