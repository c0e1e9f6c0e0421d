-- The links of the README and of the pages in docs/ lead somewhere: to a file, and a heading in it.
local snippets = require "spec.support.snippets"
local support = require "spec.support"

local _, names = support.run("cd " .. support.quote(support.root) .. " && ls README.md docs/*.md")

-- What isn't inside a block of code.
local function prose(text)
    local lines, is_code = {}, false
    for line in text:gmatch "[^\n]*" do
        if line:find "^ *```" then
            is_code = not is_code
        elseif not is_code then
            lines[#lines + 1] = line
        end
    end
    return lines
end

-- The places that a page's headings make, as GitHub counts them.
local function places_of(path)
    local places, count = {}, {}
    for _, line in ipairs(prose(snippets.read(path))) do
        local heading = line:match "^#+ (.*)"
        if heading then
            local place = heading:gsub("%[([^%]]*)%]%([^)]*%)", "%1"):lower()
                :gsub("[%z\1-\31!-,./:-@%[-^`{-~]", ""):gsub("[\128-\255]", ""):gsub(" ", "-")
            local n = count[place] or 0
            count[place] = n + 1
            places[n > 0 and place .. "-" .. n or place] = true
        end
    end
    return places
end

-- Where a path leads from the folder of a page: "docs/" and "../README.md" to "README.md".
local function join(folder, path)
    local whole = folder .. path
    local count
    repeat
        whole, count = whole:gsub("[^/]+/%.%./", "", 1)
    until count == 0
    return whole
end

describe("the links of", function()
    local known = {}

    for page in names:gmatch "[^\n]+" do
        it(page, function()
            local wrong, seen = {}, 0
            for _, line in ipairs(prose(snippets.read(page))) do
                for link in line:gsub("`[^`]*`", "code"):gmatch "%]%(([^)%s]+)%)" do
                    local path, place = link:match "^([^#]*)#?(.*)$"
                    local target = path == "" and page or join(page:match "^(.-)[^/]*$", path)
                    local file = not link:find "^https?:" and io.open(support.root .. "/" .. target)
                    seen = seen + 1
                    if file then
                        file:close()
                        known[target] = known[target] or place ~= "" and places_of(target) or nil
                    end
                    if not file or place ~= "" and not known[target][place] then
                        wrong[#wrong + 1] = link
                    end
                end
            end
            assert.same({}, wrong)
            assert.is_true(page ~= "README.md" or seen > 20)
        end)
    end

    it("the README have every page of docs/", function()
        local readme = snippets.read "README.md"
        for page in names:gmatch "docs/[^\n]+" do
            assert.truthy(readme:find("(" .. page .. ")", 1, true), page)
        end
    end)
end)
