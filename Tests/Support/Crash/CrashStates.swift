/// What a disk may hold when the power goes: what was flushed, and of the rest any part.
///
/// Of operations that no flush has made last yet,
/// - a write may be there, be missing, or be there in some sectors of 512 or 4096 bytes and not in
///   others, whatever was written before or behind it;
/// - a file may have its new length with zeros in the place of missing bytes;
/// - a change of names may be there or be missing as a whole, and later ones may be there where
///   earlier ones are not, as long as they touch other names.
///
/// That is weaker than what today's file systems promise, and includes it.
package struct CrashStates: Sendable {
  let settled: SimulatedDisk
  let log: [DiskOperation]
  /// For each operation, the flush that makes it last; the end of time where none does.
  private let flushes: [Int]

  /// How many operations there are to cut the power before, or after the last.
  package var operationCount: Int { log.count }

  /// The disk as a process finds it that comes after some operations.
  package func disk(after count: Int) -> SimulatedDisk {
    log.prefix(count).reduce(into: settled) { $0.apply($1) }
  }

  /// What happened up to a moment.
  package func prefix(_ count: Int) -> CrashStates {
    CrashStates(settled: settled, log: Array(log.prefix(count)))
  }

  /// Takes a disk that lasts as it is, and what happened to it since.
  package init(settled: SimulatedDisk, log: [DiskOperation]) {
    self.settled = settled
    self.log = log
    var flushes = Array(repeating: Int.max, count: log.count)
    var next: [Int: Int] = [:]
    for (index, operation) in log.enumerated().reversed() {
      switch operation {
      case .flush(let node, let succeeded): next[node] = succeeded ? index : .max
      case .create: flushes[index] = -1
      case .write(let node, _, _), .truncate(let node, _): flushes[index] = next[node] ?? .max
      case .rename(let changes):
        flushes[index] = changes.map { next[$0.folder] ?? .max }.min() ?? .max
      }
    }
    self.flushes = flushes
  }

  /// Disks that a power cut after some operations may leave: first the plain cases, such as nothing
  /// that was not flushed, then cases of one operation that is lost or alone there, then random ones.
  ///
  /// - Parameters:
  ///   - count: how many operations were made, 0...`operationCount`.
  ///   - samples: how many random ones; where it is 0, only changes of names are tried one by one.
  ///   - numbers: where the random ones come from.
  ///   - body: is shown each disk; disks may come twice.
  package func forEachDisk(
    after count: Int,
    samples: Int,
    using numbers: inout Numbers,
    _ body: (SimulatedDisk) throws -> Void
  ) rethrows {
    let pending = (0..<count).filter { flushes[$0] >= count }
    func show(_ fate: (Int) -> Fate, growing: Bool = false) throws {
      try body(disk(after: count, pending: pending, fate: fate, growing: growing, &numbers))
    }
    try show { _ in .kept }
    guard !pending.isEmpty else { return }
    try show { _ in .lost }
    for growing in [false, true] {
      try show({ isRenaming($0) ? .kept : .lost }, growing: growing)
    }
    try show { isRenaming($0) ? .lost : .kept }
    for sector in Self.sectors { try show { isRenaming($0) ? .kept : .torn(sector: sector) } }
    for one in pending where samples > 0 || isRenaming(one) {
      try show { $0 == one ? .lost : .kept }
      try show { $0 == one ? .kept : .lost }
    }
    for _ in 0..<samples {
      var fates: [Int: Fate] = [:]
      for index in pending {
        fates[index] =
          switch numbers.next() % 4 {
          case 0: .lost
          case 1: isRenaming(index) ? .lost : .torn(sector: Self.sectors[Int(numbers.next() % 2)])
          default: .kept
          }
      }
      try show({ fates[$0] ?? .kept }, growing: numbers.next() % 2 == 0)
    }
  }

  /// What becomes of an operation that was not flushed.
  private enum Fate {
    case kept, lost
    /// For a write, each sector is there or not; other operations are lost.
    case torn(sector: Int)
  }

  private static let sectors = [512, 4096]

  private func isRenaming(_ index: Int) -> Bool {
    if case .rename = log[index] { true } else { false }
  }

  private func disk(
    after count: Int,
    pending: [Int],
    fate: (Int) -> Fate,
    growing: Bool,
    _ numbers: inout Numbers
  ) -> SimulatedDisk {
    var disk = settled
    var pending = pending[...]
    var missing: Set<EntryKey> = []
    var lengths: [Int: Int] = [:]
    for index in 0..<count {
      guard pending.first == index else {
        disk.apply(log[index])
        continue
      }
      pending.removeFirst()
      switch (log[index], fate(index)) {
      case (.rename(let changes), let fate):
        // What was done to a name is never there without what was done to it before.
        let keys = changes.map { EntryKey(folder: $0.folder, name: $0.name) }
        if case .kept = fate, missing.isDisjoint(with: keys) {
          disk.apply(log[index])
        } else {
          missing.formUnion(keys)
        }
      case (.write(let file, let offset, let bytes), .torn(let sector)):
        lengths[file] = max(lengths[file] ?? 0, offset + bytes.count)
        var start = offset
        while start < offset + bytes.count {
          let end = min((start / sector + 1) * sector, offset + bytes.count)
          if numbers.next() % 2 == 0 {
            disk.apply(.write(file, offset: start, Array(bytes[start - offset..<end - offset])))
          }
          start = end
        }
      case (.write(let file, let offset, let bytes), .lost):
        lengths[file] = max(lengths[file] ?? 0, offset + bytes.count)
      case (_, .lost), (_, .torn): break
      case (let operation, _): disk.apply(operation)
      }
    }
    if growing { for (file, length) in lengths { disk.grow(file, to: length) } }
    return disk
  }

  private struct EntryKey: Hashable {
    let folder: Int
    let name: String
  }
}
