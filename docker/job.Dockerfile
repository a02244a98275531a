# A training job with cloudckpt in it, as one of your own could be: nothing that it writes outlives its container.
FROM python:3.13-slim
WORKDIR /build
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY protos protos
COPY cloudckpt cloudckpt
RUN --mount=type=cache,target=/root/.cache/pip pip install --root-user-action=ignore '.[s3]' 'scikit-learn>=1.4'

WORKDIR /job
COPY examples/digits.py ./
USER nobody
# The same sums in the same order: only then do two runs end with the same bits.
ENV OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
ENTRYPOINT ["python", "digits.py"]
