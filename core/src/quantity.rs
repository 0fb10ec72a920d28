//! Amounts of CPU and memory as exact integers, and Kubernetes' quantity text in and out.

/// CPU in thousandths of a core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millicores(pub i64);

/// Memory in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub i64);

/// A resource that podfit sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// CPU time, counted in [`Millicores`].
    Cpu,
    /// Working-set memory, counted in [`Bytes`].
    Memory,
}

impl Resource {
    /// Both, in the order in which they are always listed.
    pub const ALL: [Self; 2] = [Self::Cpu, Self::Memory];

    /// The name in Kubernetes objects.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
        }
    }
}

/// An amount per resource; absent means "not set".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ResourceList {
    /// CPU, if set.
    pub cpu: Option<Millicores>,
    /// Memory, if set.
    pub memory: Option<Bytes>,
}

impl ResourceList {
    /// The amount of one resource in its base unit: millicores or bytes.
    pub fn get(&self, resource: Resource) -> Option<i64> {
        match resource {
            Resource::Cpu => self.cpu.map(|m| m.0),
            Resource::Memory => self.memory.map(|b| b.0),
        }
    }

    /// Sets or clears one resource, in its base unit.
    pub fn set(&mut self, resource: Resource, amount: Option<i64>) {
        match resource {
            Resource::Cpu => self.cpu = amount.map(Millicores),
            Resource::Memory => self.memory = amount.map(Bytes),
        }
    }

    /// True when neither resource is set.
    pub fn is_empty(&self) -> bool {
        self.cpu.is_none() && self.memory.is_none()
    }
}
