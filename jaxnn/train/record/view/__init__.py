"""A history at a glance, and in the forms of other libraries."""
