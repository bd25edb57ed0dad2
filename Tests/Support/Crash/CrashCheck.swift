import Foundation
import KaratBytes
import KaratTensors

/// Runs workloads into power cuts and failing calls, and notes what breaks the promise: the target
/// is the old thing or the whole new one, never neither; the new one once the writer has returned;
/// nothing else on the disk changes; nothing stray is left, at the latest by the next run.
package struct CrashCheck {
  /// How many disks were found after a power cut; for each workload, different ones.
  package private(set) var states = 0
  /// How many calls failed.
  package private(set) var faults = 0
  /// What broke the promise, in words; at most a few.
  package private(set) var failures: [String] = []

  private var numbers: Numbers
  /// How many random disks are made for each moment.
  private let samples: Int

  package init(seed: UInt64, samples: Int) {
    numbers = Numbers(seed: seed)
    self.samples = samples
  }

  /// What a workload's target and surroundings are when nothing goes wrong.
  private struct Expectation {
    let old: CrashWorkload.Content?
    let new: CrashWorkload.Content?
    let surroundings: CrashWorkload.Content
    let before: CrashWorkload.Content
  }

  private mutating func fail(_ workload: CrashWorkload, _ words: String) {
    if failures.count < 20 { failures.append("\(workload.name): \(words)") }
  }

  // MARK: Power cuts

  /// Cuts the power before and after each operation of a run, and once more in the run after that.
  package mutating func checkPowerCuts(_ workload: CrashWorkload) throws {
    let fileSystem = try workload.prepared()
    guard let expected = try expectation(workload, fileSystem) else { return }
    let history = fileSystem.history
    var seen: Set<Int> = []
    for count in 0...history.operationCount {
      let isDone = count == history.operationCount
      var random = Numbers(seed: numbers.next())
      var disks: [SimulatedDisk] = []
      history.forEachDisk(after: count, samples: samples, using: &random) { disks.append($0) }
      for disk in disks {
        // A run that has returned has promised more.
        guard seen.insert(Self.fingerprint(of: disk, isDone)).inserted else { continue }
        states += 1
        let after = SimulatedFileSystem(disk, lacking: fileSystem.lacks)
        let moment = "power cut after \(count) of \(history.operationCount) operations"
        try checkNextRun(workload, after, expected, mustBeNew: isDone, moment)
        if states % 8 == 0 {
          try checkSecondPowerCut(workload, after, expected, moment, using: &random)
        }
      }
    }
  }

  /// Cuts the power in the next run too, at one random moment with one random disk.
  private mutating func checkSecondPowerCut(
    _ workload: CrashWorkload,
    _ fileSystem: SimulatedFileSystem,
    _ expected: Expectation,
    _ moment: String,
    using random: inout Numbers
  ) throws {
    let history = fileSystem.history
    let count = Int(random.next() % UInt64(history.operationCount + 1))
    var disks: [SimulatedDisk] = []
    history.forEachDisk(after: count, samples: 1, using: &random) { disks.append($0) }
    guard let disk = disks.randomElement(using: &random) else { return }
    try checkNextRun(
      workload,
      SimulatedFileSystem(disk, lacking: fileSystem.lacks),
      expected,
      mustBeNew: false,
      moment + ", and after \(count) of \(history.operationCount) of the next run"
    )
  }

  /// Runs once without a fault; nil where the workload is none.
  private mutating func expectation(
    _ workload: CrashWorkload,
    _ fileSystem: SimulatedFileSystem
  ) throws -> Expectation? {
    let old = try workload.read(fileSystem)
    let before = workload.surroundings(fileSystem)
    try workload.run(fileSystem)
    let new = try workload.read(fileSystem)
    guard old != new, fileSystem.openCount == 0 else {
      fail(workload, "it changes nothing, or leaves descriptors open")
      return nil
    }
    return Expectation(
      old: old,
      new: new,
      surroundings: workload.surroundings(fileSystem),
      before: before
    )
  }

  /// Looks at a disk as it is found, runs again, and looks again.
  private mutating func checkNextRun(
    _ workload: CrashWorkload,
    _ fileSystem: SimulatedFileSystem,
    _ expected: Expectation,
    mustBeNew: Bool,
    _ moment: String
  ) throws {
    if let recover = workload.recover { try recover(fileSystem) }
    let found = try? workload.read(fileSystem)
    guard found == expected.new || (!mustBeNew && found == expected.old) else {
      return fail(workload, "\(moment): the target is \(Self.describe(found))")
    }
    do {
      try workload.run(fileSystem)
    } catch {
      guard Self.saysThatItExists(error), found == expected.new else {
        return fail(workload, "\(moment): the next run throws \(error)")
      }
    }
    let read = try? workload.read(fileSystem)
    if read != expected.new {
      fail(workload, "\(moment): the next run makes \(Self.describe(read))")
    }
    var left = workload.surroundings(fileSystem)
    if fileSystem.lacks.contains(.locks) {
      // Then nobody can tell that the writer of a hidden file is dead.
      left = left.filter { expected.surroundings[$0.key] != nil }
    }
    if left != expected.surroundings {
      fail(workload, "\(moment): the next run leaves \(Self.describe(left))")
    }
  }

  // MARK: Kills

  /// Kills a run after each operation, and cuts the power at some moments of the next run, which has
  /// found all that the first wrote and did not flush.
  package mutating func checkKills(_ workload: CrashWorkload) throws {
    let fileSystem = try workload.prepared()
    guard let expected = try expectation(workload, fileSystem) else { return }
    let history = fileSystem.history
    var random = Numbers(seed: numbers.next())
    for count in 0...history.operationCount {
      let next = SimulatedFileSystem(continuing: history.prefix(count), lacking: fileSystem.lacks)
      let moment = "killed after \(count) of \(history.operationCount) operations"
      try checkNextRun(workload, next, expected, mustBeNew: false, moment)
      let both = next.history
      var seen: Set<Int> = []
      for cut in (count...both.operationCount).shuffled(using: &random).prefix(4) {
        var disks: [SimulatedDisk] = []
        both.forEachDisk(after: cut, samples: 0, using: &random) { disks.append($0) }
        for disk in disks where seen.insert(Self.fingerprint(of: disk, false)).inserted {
          states += 1
          try checkNextRun(
            workload,
            SimulatedFileSystem(disk, lacking: fileSystem.lacks),
            expected,
            mustBeNew: false,
            moment + ", then a power cut after \(cut - count) of the next run"
          )
        }
      }
    }
  }

  // MARK: Failing calls

  /// Fails each call of a run in each way, and cuts the power after that.
  package mutating func checkFailingCalls(
    _ workload: CrashWorkload,
    errorNumbers: [Int32]
  ) throws {
    let fileSystem = try workload.prepared()
    guard let expected = try expectation(workload, fileSystem) else { return }
    var seen: Set<Int> = []
    for (index, call) in fileSystem.calls.enumerated() {
      // A file system that has nothing to flush for a folder is taken at its word.
      var plans: [FaultPlan] = errorNumbers.filter { call != .flush || $0 != ENOTSUP }
        .map { FaultPlan(at: index, .refusal($0)) }
      plans += [
        FaultPlan(from: index, .refusal(EIO), lasting: Set(Call.allCases)),
        FaultPlan(from: index, .refusal(ENOSPC), lasting: Set(Call.allCases.filter(\.takesRoom))),
      ]
      if ![.open, .duplicate].contains(call) {
        plans.append(FaultPlan(at: index, .refusalAfterEffect(EIO)))
      }
      if call == .write { plans += [1, 511, 4096].map { FaultPlan(at: index, .short($0)) } }
      for plan in plans {
        faults += 1
        try check(workload, plan, call, expected, &seen)
      }
    }
  }

  private mutating func check(
    _ workload: CrashWorkload,
    _ plan: FaultPlan,
    _ call: Call,
    _ expected: Expectation,
    _ seen: inout Set<Int>
  ) throws {
    let fileSystem = try workload.prepared()
    let moment =
      "\(plan.fault) of call \(plan.index), \(call)" + (plan.lasting.isEmpty ? "" : " on")
    fileSystem.faults = plan
    var thrown: (any Error)?
    do { try workload.run(fileSystem) } catch { thrown = error }
    fileSystem.faults = nil
    if let words = Self.objection(to: thrown, of: workload, plan) {
      fail(workload, "\(moment): \(words)")
    }
    if fileSystem.openCount > 0 { fail(workload, "\(moment): descriptors are left open") }
    let history = fileSystem.history
    // Where the target is new, what it replaced may stay until the next run has flushed the exchange.
    if thrown != nil, !workload.isResumable, Self.canCleanUp(call, plan),
      try workload.read(fileSystem) == expected.old
    {
      checkNothingIsAdded(workload, fileSystem, expected, moment)
    }
    var random = Numbers(seed: numbers.next())
    var disks: [SimulatedDisk] = []
    history.forEachDisk(after: history.operationCount, samples: 0, using: &random) {
      disks.append($0)
    }
    for disk in disks where seen.insert(Self.fingerprint(of: disk, thrown == nil)).inserted {
      try checkNextRun(
        workload,
        SimulatedFileSystem(disk, lacking: fileSystem.lacks),
        expected,
        mustBeNew: thrown == nil,
        moment + ", then a power cut"
      )
    }
  }

  // MARK: Full disks

  /// Runs on disks that have less and less room, whether they say so before or not.
  package mutating func checkFullDisks(_ workload: CrashWorkload) throws {
    let fileSystem = try workload.prepared()
    let before = fileSystem.byteCount
    guard let expected = try expectation(workload, fileSystem) else { return }
    let needed = expected.new?.values.reduce(0) { $0 + $1.count } ?? 0
    for room in stride(from: 0, through: needed, by: max(needed / 12, 1)) {
      for isHonest in [false, true] {
        faults += 1
        let fileSystem = try workload.prepared()
        fileSystem.capacity = before + room
        if !isHonest { fileSystem.lacks.insert(.measuringRoom) }
        try check(workload, fileSystem, expected, "disk with room for \(room) of \(needed) bytes")
      }
    }
  }

  private mutating func check(
    _ workload: CrashWorkload,
    _ fileSystem: SimulatedFileSystem,
    _ expected: Expectation,
    _ moment: String
  ) throws {
    var isRefused = false
    do {
      try workload.run(fileSystem)
    } catch {
      isRefused = true
      let words = "\(error)"
      if !words.contains("Free some space"), !Self.saysThatItExists(error) {
        fail(workload, "\(moment): it throws \(words)")
      }
    }
    let found = try workload.read(fileSystem)
    if found != (isRefused ? expected.old : expected.new) {
      fail(workload, "\(moment): the target is \(Self.describe(found))")
    }
    if isRefused, !workload.isResumable {
      checkNothingIsAdded(workload, fileSystem, expected, moment)
    }
    fileSystem.capacity = .max
    try checkNextRun(workload, fileSystem, expected, mustBeNew: !isRefused, moment)
  }

  private mutating func checkNothingIsAdded(
    _ workload: CrashWorkload,
    _ fileSystem: SimulatedFileSystem,
    _ expected: Expectation,
    _ moment: String
  ) {
    let added = workload.surroundings(fileSystem).filter {
      expected.surroundings[$0.key] != $0.value && expected.before[$0.key] != $0.value
    }
    if !added.isEmpty { fail(workload, "\(moment): it leaves \(Self.describe(added))") }
  }

  // MARK: Words

  /// What is wrong with how a run with a fault ended.
  private static func objection(
    to error: (any Error)?,
    of workload: CrashWorkload,
    _ plan: FaultPlan
  ) -> String? {
    guard let error else { return nil }
    guard error is FileError || error is CheckpointError else { return "it throws \(error)" }
    if case .short = plan.fault { return "a short write ends it: \(error)" }
    if plan.lasting.isEmpty, case .refusal(let code) = plan.fault, code == EINTR {
      return "a signal ends it: \(error)"
    }
    let words = "\(error)"
    guard words.contains(workload.plainTarget), !words.contains(".partial") else {
      return "the message names another path: \(words)"
    }
    return nil
  }

  /// Whether a run that was refused this call can leave nothing behind at once.
  private static func canCleanUp(_ call: Call, _ plan: FaultPlan) -> Bool {
    switch plan.fault {
    // What was made without its maker's knowledge, the next run finds.
    case .refusalAfterEffect: ![.open, .makeFolder, .removeFile, .removeFolder].contains(call)
    case .refusal, .short:
      plan.lasting.contains(.removeFile)
        ? false : ![.removeFile, .removeFolder, .names].contains(call)
    }
  }

  private static func saysThatItExists(_ error: any Error) -> Bool {
    (error as? FileError)?.kind == .exists || (error as? CheckpointError)?.kind == .exists
  }

  private static func describe(_ content: CrashWorkload.Content?) -> String {
    guard let content else { return "nothing" }
    return content.sorted { $0.key < $1.key }
      .map { "\($0.key) (\($0.value.count) bytes)" }.joined(separator: ", ")
  }

  /// What tells disks apart, in whatever order their trees are walked.
  private static func fingerprint(of disk: SimulatedDisk, _ isDone: Bool) -> Int {
    disk.tree().reduce(isDone ? 1 : 0) { sum, entry in
      var hasher = Hasher()
      hasher.combine(entry.key)
      entry.value.withUnsafeBytes { hasher.combine(bytes: $0) }
      return sum &+ hasher.finalize()
    }
  }
}
