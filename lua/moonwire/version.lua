-- version.lua - the one place that says which moonwire this is.

return "0.1.0"
