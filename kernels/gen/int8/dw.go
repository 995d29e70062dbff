package main

func depthwiseFile() {}
