package onnx

// upgrade brings the node into its newest form.
func (c *call) upgrade() error { return nil }

func newestForm(domain, name string) int { return 0 }
