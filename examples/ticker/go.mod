module example.com/ticker

go 1.26

require tributary v0.0.0

replace tributary => ../..
