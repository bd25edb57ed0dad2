import Foundation
import KaratBytes
import KaratCheckpoints
import KaratTensors
import KaratTestSupport
import Testing

/// Power cuts and failing calls while a KCF is written: the old content or the new, never neither.
@Suite struct ChunkedCrashTests {
  private static let target = "work/model.kcf"

  private static func source(_ seed: UInt64, _ names: [String], count: Int) -> MemorySource {
    var numbers = Numbers(seed: seed)
    var tensors: [TensorName: Tensor] = [:]
    for name in names {
      let elements = (0..<count).map { _ in UInt16(truncatingIfNeeded: numbers.next()) }
      tensors[TensorName(name)] = Tensor(.bf16, [count], copying: elements)
    }
    return MemorySource(tensors)
  }

  private static func writer(_ fileSystem: SimulatedFileSystem, replacing: Bool = true)
    -> ChunkedWriter
  {
    var writer = ChunkedWriter(replacing: replacing, threads: 1)
    writer.fileSystem = fileSystem
    return writer
  }

  /// All tensors and attachments at the target, after a recovery where one is needed.
  private static func read(
    _ fileSystem: SimulatedFileSystem,
    base: (any TensorSource)? = nil
  ) throws -> CrashWorkload.Content? {
    guard let bytes = fileSystem.contents(target) else { return nil }
    let reader = try ChunkedReader(
      CheckpointFile(bytes, named: target),
      base: base,
      recovery: .lastCommit
    )
    var content: CrashWorkload.Content = [:]
    for name in reader.manifest.names {
      content[name.text] = try reader.tensor(name).withBytes { Array($0) }
    }
    for attachment in reader.attachments {
      content["/" + attachment.name] = try reader.attachment(attachment.name)
    }
    return content
  }

  private static func workload(
    _ name: String,
    base: (any TensorSource)? = nil,
    prepare: @escaping @Sendable (SimulatedFileSystem) throws -> Void,
    run: @escaping @Sendable (SimulatedFileSystem) throws -> Void
  ) -> CrashWorkload {
    CrashWorkload(
      name,
      target: target,
      isResumable: true,
      prepare: { fileSystem in
        fileSystem.put([1, 2, 3], at: "work/bystander")
        try prepare(fileSystem)
      },
      read: { try read($0, base: base) },
      run: run
    )
  }

  private static var workloads: [CrashWorkload] {
    [300, 5000].flatMap { count -> [CrashWorkload] in
      let old = source(1, ["a", "b"], count: count)
      let new = source(2, ["b", "c"], count: count)
      let attachments: [String: [UInt8]] = ["config.json": [123, 125]]
      let write: @Sendable (SimulatedFileSystem) throws -> Void = { fileSystem in
        try writer(fileSystem).write(new, attachments: attachments, to: target)
      }
      let putOld: @Sendable (SimulatedFileSystem) throws -> Void = { fileSystem in
        try writer(fileSystem).write(old, to: target)
      }
      let append: @Sendable (SimulatedFileSystem) throws -> Void = { fileSystem in
        try writer(fileSystem).append(
          new,
          attachments: attachments,
          removing: ["a"],
          to: target,
          recovery: .lastCommit
        )
      }
      return [
        workload("kcf new \(count)", prepare: { _ in }, run: write),
        workload("kcf replace \(count)", prepare: putOld, run: write),
        workload("kcf append \(count)", prepare: putOld, run: append),
        workload(
          "kcf append twice \(count)",
          prepare: { fileSystem in
            try putOld(fileSystem)
            try writer(fileSystem).append(source(3, ["d"], count: 10), to: target)
          },
          run: append
        ),
        workload(
          "kcf append behind a torn tail \(count)",
          prepare: { fileSystem in
            try putOld(fileSystem)
            let bytes = fileSystem.contents(target) ?? []
            fileSystem.put(bytes + [UInt8](repeating: 7, count: 1000), at: target)
          },
          run: append
        ),
        workload(
          "kcf resume \(count)",
          prepare: { fileSystem in
            let whole = try chunked(new, attachments: attachments)
            fileSystem.put(
              Array(whole[..<(whole.count / 2)]),
              at: "work/.model.kcf.resumable.partial"
            )
          },
          run: write
        ),
        workload(
          "kcf resume another \(count)",
          prepare: { fileSystem in
            fileSystem.put(try chunked(old), at: "work/.model.kcf.resumable.partial")
          },
          run: write
        ),
        workload(
          "kcf delta \(count)",
          base: old,
          prepare: putOld,
          run: { fileSystem in
            let base = ChunkedWriter.Base(old, at: "base.kcf")
            try writer(fileSystem).write(new, base: base, to: target)
          }
        ),
      ]
    }
  }

  @Test func powerCutsLeaveTheOldOrTheNew() throws {
    var check = CrashCheck(seed: 41, samples: runsLong ? 400 : 4)
    for workload in Self.workloads { try check.checkPowerCuts(workload) }
    #expect(check.failures == [])
    print("power cuts while a KCF is written: \(check.states) states")
    #expect(check.states >= 200)
  }

  @Test func failingCallsLeaveTheOldOrTheNew() throws {
    var check = CrashCheck(seed: 42, samples: 0)
    for workload in Self.workloads.enumerated().filter({ runsLong || $0.offset < 8 }).map(\.element)
    {
      try check.checkFailingCalls(workload, errorNumbers: [EIO, ENOSPC, EINTR])
    }
    #expect(check.failures == [])
    #expect(check.faults >= 200)
  }
}
