import Foundation
import KaratBytes
import KaratCheckpoints
import KaratModels
import KaratPasses

/// What a training begins with beside its own options: a state is gone on from only where it is the same.
struct TrainingOrigin {
  private var roots: [String: String] = [:]

  /// Nothing to compare.
  init() {}

  /// Digests the tensors of a model, and of its teacher where that is another; about 1.5 GB/s for each core.
  ///
  /// - Throws: `CheckpointError` where a tensor cannot be read.
  init(
    _ model: LoadedModel,
    teacher: LoadedModel?,
    threads: Int?,
    progress: ProgressReporter
  ) throws {
    let threads = threads ?? ProcessInfo.processInfo.activeProcessorCount
    func root(_ model: LoadedModel) throws -> String {
      try ContentRoot.of(model.model.source, threads: threads, progress: progress).description
    }
    roots["model"] = try root(model)
    roots["teacher"] = try teacher.map(root)
  }

  /// What a pass begins with: the models, the passes before it, and the config of its student.
  ///
  /// - Throws: `FileError` where that cannot be read.
  func before(_ index: Int, of recipe: Recipe) throws -> [String: String] {
    guard !roots.isEmpty else { return [:] }
    var origin = roots
    var before = recipe
    before.passes = Array(recipe.passes.prefix(index))
    origin["passes before it"] = Self.digest(before.json.serialized(indent: nil))
    if let student = (recipe.passes[index] as? Distil)?.student {
      origin["student"] = Self.digest(try ReadableFile.contents(of: student))
    }
    return origin
  }

  private static func digest(_ bytes: [UInt8]) -> String {
    var digest = SHA256Digest.Accumulator()
    bytes.withUnsafeBytes { digest.append($0) }
    return digest.digest.description
  }
}
