import Foundation
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
