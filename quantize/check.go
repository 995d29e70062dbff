package quantize

// Check says what is wrong with the options themselves, whatever the graph: a value that does not exist or two that
// exclude each other. Quantize checks them too.
func (o Options) Check() error {
	_, err := o.defaults()
	return err
}
