import KaratBytes
import KaratCheckpoints
import KaratTensors

extension CrashWorkload {
  private static let marker = "karat.json"

  /// Folders, new and replaced.
  package static let folders: [CrashWorkload] = (lacks + [[.exchange], [.exchange, .locks]])
    .flatMap { lacks in
      [[], [1], [512, 513], [4097, 0, 4096], [300, 20_000, 1, 8192, 5]].flatMap { sizes in
        [false, true].map { folder(sizes, isReplacing: $0, lacking: lacks) }
      }
    }

  private static func folder(
    _ sizes: [Int],
    isReplacing: Bool,
    lacking lacks: Set<Ability>
  ) -> CrashWorkload {
    let target = sizes.count % 2 == 0 ? "work/model" : "model/"
    let parts = sizes.enumerated().map { bytes($1, seed: UInt64(20 + $0)) }
    return CrashWorkload(
      "folder of \(sizes), replacing: \(isReplacing), without \(lacks)",
      target: target,
      prepare: { prepareFolder($0, target, isReplacing: isReplacing, lacking: lacks) },
      recover: recovery(of: target, lacking: lacks)
    ) { fileSystem in
      let folder = try AtomicFolder(
        target,
        replacingFolderWith: isReplacing ? marker : nil,
        expecting: sizes.reduce(0, +),
        on: fileSystem
      )
      for (index, part) in parts.enumerated() {
        var file = try folder.file("part \(index)", bufferSize: 0)
        try file.write(Array(part[..<(part.count / 2)]))
        try file.write(Array(part[(part.count / 2)...]))
        try file.commit()
      }
      var record = try folder.file(marker)
      try record.write([2])
      try record.commit()
      try folder.commit()
    }
  }

  /// What was there before: nothing or an old model, bystanders, and what two dead writers left.
  private static func prepareFolder(
    _ fileSystem: SimulatedFileSystem,
    _ target: String,
    isReplacing: Bool,
    lacking lacks: Set<Ability>
  ) {
    fileSystem.lacks = lacks
    putBystanders(fileSystem, beside: target)
    let parent = target.hasPrefix("work/") ? "work/" : ""
    fileSystem.put([9], at: parent + ".model.0123456789abc.partial/deep/deeper/file")
    if isReplacing {
      fileSystem.put([9], at: parent + ".model.replaced.partial/" + marker)
      for name in ["weights", marker] {
        fileSystem.put(bytes(900, seed: 3), at: target + "/" + name)
      }
    }
  }

  /// Between the two steps that replace a folder where it cannot be done in one, nothing is at the
  /// target; the next writer begins with putting the old folder back.
  private static func recovery(
    of target: String,
    lacking lacks: Set<Ability>
  ) -> (@Sendable (SimulatedFileSystem) throws -> Void)? {
    guard lacks.contains(.exchange) else { return nil }
    return { AtomicFolder.clearStrays(of: target, on: $0) }
  }

  /// Safetensors files, and folders of shards whose index comes last.
  package static let checkpoints: [CrashWorkload] = [1, 3, 5].flatMap { tensors in
    [[], [.exchange], [.locks]].flatMap { lacks in
      [false, true].flatMap { isReplacing in
        [
          safetensors(tensors, isReplacing: isReplacing, lacking: lacks),
          shards(tensors, 4000, isReplacing: isReplacing, lacking: lacks),
          shards(tensors, .max, isReplacing: isReplacing, lacking: lacks),
        ]
      }
    }
  }

  private static func source(_ tensors: Int, seed: UInt64) -> MemorySource {
    var numbers = Numbers(seed: seed)
    return MemorySource(
      Dictionary(
        uniqueKeysWithValues: (0..<tensors).map {
          (TensorName("layer.\($0).weight"), Tensor(numbers.floats(300 + 257 * $0)))
        }
      )
    )
  }

  private static func safetensors(
    _ tensors: Int,
    isReplacing: Bool,
    lacking lacks: Set<Ability>
  ) -> CrashWorkload {
    let target = "work/model.safetensors"
    let new = source(tensors, seed: 4)
    return CrashWorkload(
      "safetensors file of \(tensors), replacing: \(isReplacing), without \(lacks)",
      target: target
    ) { fileSystem in
      fileSystem.lacks = lacks
      putBystanders(fileSystem, beside: target)
      if isReplacing { fileSystem.put(bytes(900, seed: 3), at: target) }
    } run: { fileSystem in
      var writer = SafetensorsWriter(replacing: isReplacing)
      writer.fileSystem = fileSystem
      try writer.write(new, to: target)
    }
  }

  private static func shards(
    _ tensors: Int,
    _ shardSize: Int,
    isReplacing: Bool,
    lacking lacks: Set<Ability>
  ) -> CrashWorkload {
    let target = "work/model"
    let new = source(tensors, seed: 4)
    return CrashWorkload(
      "shards of \(tensors) by \(shardSize), replacing: \(isReplacing), without \(lacks)",
      target: target,
      prepare: { prepareFolder($0, target, isReplacing: isReplacing, lacking: lacks) },
      recover: recovery(of: target, lacking: lacks)
    ) { fileSystem in
      let folder = try AtomicFolder(
        target,
        replacingFolderWith: isReplacing ? marker : nil,
        expecting: nil,
        on: fileSystem
      )
      try SafetensorsWriter().write(new, into: folder, shardSize: shardSize)
      var record = try folder.file(marker)
      try record.write([2])
      try record.commit()
      try folder.commit()
    }
  }
}
