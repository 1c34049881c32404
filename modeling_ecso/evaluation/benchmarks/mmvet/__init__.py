"""MM-Vet: open questions, graded."""
