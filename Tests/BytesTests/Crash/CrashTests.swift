import Foundation
import KaratBytes
import KaratTestSupport
import Testing

/// Power cuts and failing calls under every writer, on a simulated disk.
///
/// `KARAT_LONG=1` runs about ten times as many.
@Suite struct CrashTests {
  private static let isLong = ProcessInfo.processInfo.environment["KARAT_LONG"] != nil

  @Test func powerCutsLeaveTheOldOrTheNew() throws {
    var check = CrashCheck(seed: 1, samples: Self.isLong ? 450 : 6)
    for workload in CrashWorkload.all { try check.checkPowerCuts(workload) }
    #expect(check.failures == [])
    print("power cuts: \(CrashWorkload.all.count) workloads, \(check.states) states")
    #expect(CrashWorkload.all.count >= 200)
    #expect(check.states >= (Self.isLong ? 100_000 : 10_000))
  }

  @Test func killsLeaveTheOldOrTheNew() throws {
    var check = CrashCheck(seed: 4, samples: 0)
    let workloads = CrashWorkload.all.enumerated()
      .filter { Self.isLong || $0.offset % 4 == 0 }.map(\.element)
    for workload in workloads { try check.checkKills(workload) }
    #expect(check.failures == [])
    print("kills, then power cuts: \(workloads.count) workloads, \(check.states) states")
  }

  @Test func aRefusedCloseIsTold() throws {
    func write(on fileSystem: SimulatedFileSystem) throws {
      var file = try AtomicFile("out", expecting: nil, on: fileSystem)
      try file.write([1, 2, 3])
      try file.commit()
    }
    let fileSystem = SimulatedFileSystem()
    try write(on: fileSystem)
    let flush = try #require(fileSystem.calls.firstIndex(of: .flush))
    let close = try #require(fileSystem.calls[flush...].firstIndex(of: .close))
    for (code, words) in [
      (EIO, "input/output error (5)."),
      (EDQUOT, "disk quota exceeded (122). Free some space, or write to another disk."),
    ] {
      let fileSystem = SimulatedFileSystem()
      fileSystem.faults = FaultPlan(at: close, .refusal(code))
      #expect(
        message { try write(on: fileSystem) } == "out: it cannot be closed: \(words)"
      )
      #expect(fileSystem.tree() == [:])
      #expect(fileSystem.openCount == 0)
    }
  }

  @Test func failingCallsLeaveTheOldOrTheNew() throws {
    var check = CrashCheck(seed: 2, samples: 0)
    let workloads = CrashWorkload.all.enumerated()
      .filter { Self.isLong || $0.offset % 16 == 0 }.map(\.element)
    for workload in workloads {
      try check.checkFailingCalls(
        workload,
        errorNumbers: [EIO, ENOSPC, EDQUOT, EFBIG, EINTR, EXDEV, EACCES, EMFILE, ENOTSUP]
      )
    }
    #expect(check.failures == [])
    print("failing calls: \(workloads.count) workloads, \(check.faults) calls")
  }

  @Test func fullDisksLeaveTheOld() throws {
    var check = CrashCheck(seed: 3, samples: 0)
    for workload in CrashWorkload.all { try check.checkFullDisks(workload) }
    #expect(check.failures == [])
    print("full disks: \(CrashWorkload.all.count) workloads, \(check.faults) disks")
  }
}
