//! Amounts of both resources that a node has, and the best of several.

use std::collections::BTreeMap;
use std::ops::{Add, Sub};

use crate::quantity::{Resource, ResourceList};

/// CPU in millicores and memory in bytes, both known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Millicores.
    pub cpu: i64,
    /// Bytes.
    pub memory: i64,
}

impl Room {
    /// `None` unless both are set.
    pub fn of(list: ResourceList) -> Option<Self> {
        Some(Self {
            cpu: list.get(Resource::Cpu)?,
            memory: list.get(Resource::Memory)?,
        })
    }

    /// What is not set counts as none.
    pub fn or_none(list: ResourceList) -> Self {
        Self {
            cpu: list.get(Resource::Cpu).unwrap_or(0),
            memory: list.get(Resource::Memory).unwrap_or(0),
        }
    }

    /// One of the two.
    pub fn get(self, resource: Resource) -> i64 {
        match resource {
            Resource::Cpu => self.cpu,
            Resource::Memory => self.memory,
        }
    }

    /// The same with another amount of one resource.
    #[must_use]
    pub fn with(mut self, resource: Resource, amount: i64) -> Self {
        match resource {
            Resource::Cpu => self.cpu = amount,
            Resource::Memory => self.memory = amount,
        }
        self
    }

    /// The larger of each.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.max(other.cpu),
            memory: self.memory.max(other.memory),
        }
    }

    /// True when that much is there.
    pub fn holds(self, need: Self) -> bool {
        self.cpu >= need.cpu && self.memory >= need.memory
    }

    /// The part of the need that is there, the scarcer resource first; 1 and more is enough.
    fn part_of(self, need: Self) -> (f64, f64) {
        let part = |has: i64, needs: i64| (has.max(0) as f64 / needs.max(1) as f64).min(1.0);
        let (cpu, memory) = (part(self.cpu, need.cpu), part(self.memory, need.memory));
        (cpu.min(memory), cpu.max(memory))
    }
}

impl Add for Room {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_add(other.cpu),
            memory: self.memory.saturating_add(other.memory),
        }
    }
}

impl Sub for Room {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(other.cpu),
            memory: self.memory.saturating_sub(other.memory),
        }
    }
}

/// What several nodes have. Those that another outdoes in both resources are not kept: of thousands of nodes few remain.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rooms(Vec<Room>);

impl FromIterator<Room> for Rooms {
    fn from_iter<T: IntoIterator<Item = Room>>(rooms: T) -> Self {
        // By CPU, with the most memory that comes with it.
        let mut by_cpu: BTreeMap<i64, i64> = BTreeMap::new();
        for room in rooms {
            let memory = by_cpu.entry(room.cpu).or_insert(room.memory);
            *memory = room.memory.max(*memory);
        }
        let mut best = Vec::new();
        let mut most = i64::MIN;
        for (cpu, memory) in by_cpu.into_iter().rev() {
            if memory > most {
                most = memory;
                best.push(Room { cpu, memory });
            }
        }
        Self(best)
    }
}

impl Rooms {
    /// The one node that comes closest to holding `need`, when there are nodes and none holds it.
    pub fn too_small_for(&self, need: Room) -> Option<Room> {
        if self.0.iter().any(|room| room.holds(need)) {
            return None;
        }
        let closeness = |room: &Room| room.part_of(need);
        self.0
            .iter()
            .max_by(|a, b| {
                let (a, b) = (closeness(a), closeness(b));
                a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
            })
            .copied()
    }
}
