"""What the gate decided and how two models compare, as text: one file per output."""
