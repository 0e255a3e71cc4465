//! What the gateway's process takes of the machine.

use std::fs;

use crate::Gateway;

impl Gateway {
    /// The memory that it has now, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        self.kilobytes("VmRSS:") << 10
    }

    /// The most memory that it ever had, in bytes.
    pub(crate) fn most_memory(&self) -> u64 {
        self.kilobytes("VmHWM:") << 10
    }

    /// How many descriptors are open.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.process.id())).unwrap().count()
    }

    fn kilobytes(&self, key: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
    }
}
