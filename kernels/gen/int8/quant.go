package main

func quantFile() {}
