//! A mean that forgets.

/// A sum that fades, and how much it counts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Mean {
    pub sum: f64,
    pub weight: f64,
}

impl Mean {
    /// After `hours` all that was added counts less.
    pub fn fade(&mut self, hours: f64, half_life: f64) {
        let factor = (-hours / half_life).exp2();
        self.sum *= factor;
        self.weight *= factor;
    }

    /// Adds what comes to `sum` and counts as `weight`.
    pub fn add(&mut self, sum: f64, weight: f64) {
        self.sum += sum;
        self.weight += weight;
    }

    /// The mean; `None` of nothing.
    pub fn get(self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.sum / self.weight)
    }
}
