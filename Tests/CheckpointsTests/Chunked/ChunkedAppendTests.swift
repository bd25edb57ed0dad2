import Foundation
import KaratBytes
import KaratCheckpoints
import KaratTensors
import KaratTestSupport
import Testing

/// Files that grow by commits, and files that an interrupted run left.
@Suite struct ChunkedAppendTests {
  private static func source(_ seed: UInt64, _ names: [String], count: Int = 600_000)
    -> MemorySource
  {
    var numbers = Numbers(seed: seed)
    var tensors: [TensorName: Tensor] = [:]
    for name in names {
      let elements = (0..<count).map { _ in UInt16(0x3c00) + UInt16(numbers.next() % 512) }
      tensors[TensorName(name)] = Tensor(.f16, [count], copying: elements)
    }
    return MemorySource(tensors, metadata: ["seed": "\(seed)"])
  }

  @Test func generationsAddReplaceAndRemove() throws {
    let first = Self.source(1, ["a", "b", "c"])
    let second = Self.source(2, ["b", "d"])
    try inTemporaryFolder { folder in
      let path = folder + "/model.kcf"
      try ChunkedWriter().write(first, attachments: ["x": [1], "y": [2]], to: path)
      let before = try read(path)
      try ChunkedWriter().append(second, attachments: ["y": [3, 4]], removing: ["c"], to: path)
      let bytes = try read(path)
      #expect(bytes.starts(with: before))
      let reader = try ChunkedReader(path)
      try reader.verify()
      #expect(reader.generation == 2)
      #expect(reader.manifest.names == ["a", "b", "d"])
      #expect(reader.manifest.metadata == ["seed": "2"])
      #expect(try reader.tensor("a").isIdentical(to: first.tensor("a")))
      for name in ["b", "d"] as [TensorName] {
        #expect(try reader.tensor(name).isIdentical(to: second.tensor(name)))
      }
      #expect(try reader.attachment("x") == [1])
      #expect(try reader.attachment("y") == [3, 4])
      #expect(try reader.modelRoot == ContentRoot.of(reader, threads: 2))
      // What is there already takes an index, and nothing else.
      try ChunkedWriter().append(second, to: path)
      #expect(try read(path).count - bytes.count < 1500)
      try ChunkedReader(path).verify()
    }
  }

  @Test func anInterruptedAppendIsRecoveredOnDemandOnly() throws {
    let first = Self.source(3, ["a"], count: 1000)
    try inTemporaryFolder { folder in
      let path = folder + "/model.kcf"
      try ChunkedWriter().write(first, to: path)
      let committed = try read(path)
      try ChunkedWriter().append(Self.source(4, ["a", "b"], count: 1000), to: path)
      let whole = try read(path)
      for length in [
        committed.count + 1, committed.count + 100, whole.count - 128, whole.count - 1,
      ] {
        try write(Array(whole[..<length]), to: path)
        let error = #expect(throws: CheckpointError.self) { _ = try ChunkedReader(path) }
        #expect(
          error?.message
            == "it does not end with a commit: the last one, generation 1, ends at byte"
            + " \(committed.count), and \(length - committed.count) bytes follow. An append was"
            + " interrupted, or the file is damaged; recovery reads generation 1."
        )
        #expect(throws: CheckpointError.self) {
          try ChunkedWriter().append(first, to: path)
        }
        let reader = try ChunkedReader(path, recovery: .lastCommit)
        #expect(reader.uncommittedByteCount == length - committed.count)
        try expectSameTensors(reader, first)
        #expect(throws: CheckpointError.self) { try reader.verify() }
        try ChunkedWriter().append(
          Self.source(4, ["a", "b"], count: 1000),
          to: path,
          recovery: .lastCommit
        )
        #expect(try read(path) == whole)
      }
    }
  }

  @Test func aDamagedLastCommitIsRefusedAndTheOneBeforeRecovered() throws {
    let first = Self.source(8, ["a"], count: 1000)
    try inTemporaryFolder { folder in
      let path = folder + "/model.kcf"
      try ChunkedWriter().write(first, to: path)
      try ChunkedWriter().append(Self.source(9, ["b"], count: 1000), to: path)
      var bytes = try read(path)
      bytes[bytes.count - 200] ^= 1
      try write(bytes, to: path)
      let error = #expect(throws: CheckpointError.self) { _ = try ChunkedReader(path) }
      #expect(error?.message.contains("does not have the digest that its trailer says") == true)
      try expectSameTensors(try ChunkedReader(path, recovery: .lastCommit), first)
    }
  }

  @Test func anAppendThatThrowsLeavesTheFileAsItWas() throws {
    struct Broken: TensorSource {
      let manifest = MemorySource(["z": Tensor([1], shape: [])]).manifest
      func tensor(_ name: TensorName) throws(CheckpointError) -> Tensor {
        throw CheckpointError(.inputOutput, "the device fails.")
      }
    }
    try inTemporaryFolder { folder in
      let path = folder + "/model.kcf"
      try ChunkedWriter().write(Self.source(5, ["a"], count: 1000), to: path)
      let before = try read(path)
      #expect(
        message(in: folder) { try ChunkedWriter().append(Broken(), to: path) }
          == "the device fails."
      )
      #expect(try read(path) == before)
      #expect(
        message(in: folder) { try ChunkedWriter().write(Broken(), to: folder + "/new.kcf") }
          == "the device fails."
      )
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["model.kcf"])
    }
  }

  /// What an interrupted run left is taken up where it is what comes next, wherever it was cut off
  /// and whatever else is in it, and the file gets the same bytes.
  @Test func anInterruptedRunIsTakenUp() throws {
    let source = Self.source(6, ["a", "b", "c"])
    let whole = try chunked(source, attachments: ["x": [7]])
    var damaged = whole
    damaged[whole.count / 2] ^= 1
    var lefts = [0, 1, 63, 64, 100, 1000, 600_000, whole.count - 300, whole.count].map {
      whole[..<$0]
    }
    lefts += [
      damaged[...], whole[...] + [1, 2, 3], try chunked(Self.source(7, ["a", "c"]))[...],
      ArraySlice(repeating: 0, count: whole.count + 1000),
    ]
    try inTemporaryFolder { folder in
      for left in lefts {
        try write(Array(left), to: folder + "/.model.kcf.resumable.partial")
        let path = folder + "/model.kcf"
        try ChunkedWriter().write(source, attachments: ["x": [7]], to: path)
        #expect(try read(path) == whole)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["model.kcf"])
        try FileManager.default.removeItem(atPath: path)
      }
    }
  }
}
