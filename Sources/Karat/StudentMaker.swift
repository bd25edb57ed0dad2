import KaratArchitectures
import KaratBytes
import KaratModels
import KaratPasses
import Synchronization

/// Makes a student for a pass that knows no families of models, and remembers it.
final class StudentMaker: Sendable {
  private let teacher: LoadedModel
  private let student: Mutex<Student?> = Mutex(nil)

  init(of teacher: LoadedModel) {
    self.teacher = teacher
  }

  /// The student that was made, or nil where none was asked for.
  var made: Student? { student.withLock(\.self) }

  /// Makes a student.
  ///
  /// - Throws: `StudentError` where there is none of that shape, `ConfigError` where a config cannot be
  ///   run.
  func make(_ request: StudentRequest) throws -> MadeStudent {
    let made: Student
    if let path = request.config {
      let config = try ModelFiles.object(try ReadableFile.contents(of: path), in: path)
      made = try teacher.student(
        like: config,
        file: path,
        importance: request.importance,
        isFresh: request.isFresh,
        mergesExperts: request.mergesExperts,
        seed: request.seed
      )
    } else {
      made = try teacher.student(request.shape, importance: request.importance)
    }
    student.withLock { $0 = made }
    return MadeStudent(model: made.model.model, layers: made.report.layers)
  }
}
