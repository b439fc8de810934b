package api

// routes are the rows of the table that this family serves.
func (c *Configs) routes() []Route {
	return []Route{
		route(c.DescribeConfigs),
		route(c.AlterConfigs),
		route(c.IncrementalAlterConfigs),
	}
}
