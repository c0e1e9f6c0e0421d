-- bench/escape.lua - text for HTML and XML: what has a meaning there becomes a reference, and what
-- may not stand there at all a question mark.
local REFERENCES = {
    ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;",
}

---@param text any
---@return string
return function(text)
    return (tostring(text):gsub("[&<>\"']", REFERENCES):gsub("[%z\1-\8\11\12\14-\31\127]", "?"))
end
