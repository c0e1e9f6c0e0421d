-- Writes spec/differential.md: where moonwire, curl and undici disagree about an answer, and why
-- moonwire is right:  make differential  It fails when it finds a disagreement without a reason.

require "spec.support"
local differential = require "spec.support.differential"

local cases = require "spec.differential.cases"
local reasons = require "spec.differential.reasons"

local curl, undici = differential.versions()
local results = differential.run(cases)
local text, unexplained = differential.report(results, reasons, curl, undici)
local counts = differential.count(results)
print(("%d answers shown to moonwire, curl %s and undici %s: %d disagreements"):format(
    counts.cases, curl or "(not here)", undici or "(not here)", counts.disagreements))
for _, line in ipairs(unexplained) do
    print("without a reason: " .. line)
end
if not curl or not undici then
    print "spec/differential.md stays as it is: it is written where both are"
elseif #unexplained == 0 then
    local file = assert(io.open("spec/differential.md", "w"))
    file:write(text)
    file:close()
    print "spec/differential.md is written"
end
os.exit(#unexplained == 0 and 0 or 1, true)
